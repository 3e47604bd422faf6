"""Requests two readers could take differently, and what must become of each: one table, for the tests and the bench.

Every request is for shop.localhost. REFUSED never reaches an app; CARRIED reaches it as exactly the heads it says.
"""

from dataclasses import dataclass

HOST = b"Host: shop.localhost\r\n"
_GET = b"GET / HTTP/1.1\r\n" + HOST
_POST = b"POST / HTTP/1.1\r\n" + HOST
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_CANARY = b"GET /canary HTTP/1.1\r\n" + HOST + b"\r\n"


@dataclass(frozen=True)
class Refused:
    """Bytes to send, and the one answer there may be to them."""

    data: bytes
    status: int = 400


@dataclass(frozen=True)
class Carried:
    """Bytes to send, the request lines the app must see, and what must not be in any head it gets (lower case)."""

    data: bytes
    lines: tuple[bytes, ...]
    never: tuple[bytes, ...] = ()
    bodies: bytes = b""


REFUSED = {
    "upgrade to h2c": Refused(
        _GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    ),
    "upgrade to h2c with a body": Refused(
        _POST + b"Connection: Upgrade\r\nUpgrade: websocket, H2C\r\nContent-Length: 5\r\n\r\nhello"
    ),
    "CL and TE": Refused(_POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
    "TE and CL": Refused(_POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + _CANARY),
    "CL and TE on a GET": Refused(_GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two CL": Refused(_POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "two CL alike": Refused(_POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    "CL list": Refused(_POST + b"Content-Length: 5, 5\r\n\r\nhello"),
    "CL with plus": Refused(_POST + b"Content-Length: +5\r\n\r\nhello"),
    "CL negative": Refused(_POST + b"Content-Length: -5\r\n\r\nhello"),
    "CL hex": Refused(_POST + b"Content-Length: 0x5\r\n\r\nhello"),
    "CL with space before the colon": Refused(_POST + b"Content-Length : 5\r\n\r\nhello"),
    "CL with underscore digits": Refused(_POST + b"Content-Length: 1_0\r\n\r\nhello12345"),
    "CL too large for anyone": Refused(_POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nhello"),
    "CL empty": Refused(_POST + b"Content-Length:\r\n\r\nhello"),
    "TE xchunked": Refused(_POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "TE gzip, chunked": Refused(_POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "TE identity": Refused(_POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "TE twice": Refused(_POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "TE chunked, chunked": Refused(_POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "TE with space before the colon": Refused(_POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    "TE with vertical tab": Refused(_POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    "TE folded": Refused(_POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    "TE in HTTP/1.0": Refused(b"POST / HTTP/1.0\r\n" + HOST + _CHUNKED + b"0\r\n\r\n"),
    "chunk size of spaces": Refused(_POST + _CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": Refused(_POST + _CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size negative": Refused(_POST + _CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size that wraps": Refused(_POST + _CHUNKED + b"f" * 17 + b"\r\nhello\r\n"),
    "chunk ended by LF": Refused(_POST + _CHUNKED + b"5\nhello\n0\n\n"),
    "chunk longer than it says": Refused(_POST + _CHUNKED + b"3\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with a bare LF": Refused(_POST + _CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "bare LF": Refused(b"GET / HTTP/1.1\nHost: shop.localhost\n\n"),
    "bare LF after one header": Refused(_GET + b"A: b\nC: d\r\n\r\n"),
    "bare LF ends the head": Refused(_GET + b"A: b\r\n\n" + _CANARY),
    "bare CR": Refused(_GET + b"A: b\rc\r\n\r\n"),
    "bare CR before a header": Refused(_GET + b"A: b\r\r\nContent-Length: 5\r\n\r\nhello"),
    "NUL in a value": Refused(_GET + b"A: b\x00c\r\n\r\n"),
    "NUL in a name": Refused(_GET + b"A\x00: b\r\n\r\n"),
    "NUL in the target": Refused(b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "control in a value": Refused(_GET + b"A: b\x1bc\r\n\r\n"),
    "folded": Refused(_GET + b"A: b\r\n c\r\n\r\n"),
    "folded first line": Refused(b"GET / HTTP/1.1\r\n A: b\r\n" + HOST + b"\r\n"),
    "space in a name": Refused(_GET + b"A B: c\r\n\r\n"),
    "space before the colon": Refused(_GET + b"A : c\r\n\r\n"),
    "name without a colon": Refused(_GET + b"Abc\r\n\r\n"),
    "empty name": Refused(_GET + b": c\r\n\r\n"),
    "name with a parenthesis": Refused(_GET + b"A(b): c\r\n\r\n"),
    "two hosts": Refused(_GET + b"Host: other.localhost\r\n\r\n"),
    "two hosts alike": Refused(_GET + HOST + b"\r\n"),
    "no host": Refused(b"GET / HTTP/1.1\r\n\r\n"),
    "no host in HTTP/1.0": Refused(b"GET / HTTP/1.0\r\n\r\n"),
    "empty host": Refused(b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    "host with userinfo": Refused(b"GET / HTTP/1.1\r\nHost: a@shop.localhost\r\n\r\n"),
    "host with password": Refused(b"GET / HTTP/1.1\r\nHost: a:b@shop.localhost\r\n\r\n"),
    "host with a path": Refused(b"GET / HTTP/1.1\r\nHost: shop.localhost/x\r\n\r\n"),
    "host with a query": Refused(b"GET / HTTP/1.1\r\nHost: shop.localhost?x\r\n\r\n"),
    "host with a space": Refused(b"GET / HTTP/1.1\r\nHost: shop.localhost other\r\n\r\n"),
    "host list": Refused(b"GET / HTTP/1.1\r\nHost: shop.localhost, other.localhost\r\n\r\n"),
    "host with a bad port": Refused(b"GET / HTTP/1.1\r\nHost: shop.localhost:80x\r\n\r\n"),
    "host with two ports": Refused(b"GET / HTTP/1.1\r\nHost: shop.localhost:80:81\r\n\r\n"),
    "host in unicode": Refused("GET / HTTP/1.1\r\nHost: shöp.localhost\r\n\r\n".encode()),
    "host with a fullwidth dot": Refused("GET / HTTP/1.1\r\nHost: shop．localhost\r\n\r\n".encode()),
    "absolute target with userinfo": Refused(b"GET http://a@shop.localhost/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "absolute target, two hosts": Refused(b"GET http://shop.localhost/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    "ftp target": Refused(b"GET ftp://shop.localhost/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "target without a slash": Refused(b"GET x HTTP/1.1\r\n" + HOST + b"\r\n"),
    "target of two words": Refused(b"GET / x HTTP/1.1\r\n" + HOST + b"\r\n"),
    "target with a tab": Refused(b"GET /\tx HTTP/1.1\r\n" + HOST + b"\r\n"),
    "no version": Refused(b"GET /\r\n" + HOST + b"\r\n"),
    "HTTP/2.0": Refused(b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    "HTTP/1.2": Refused(b"GET / HTTP/1.2\r\n" + HOST + b"\r\n"),
    "HTTP/1.10": Refused(b"GET / HTTP/1.10\r\n" + HOST + b"\r\n"),
    "http/1.1 in lower case": Refused(b"GET / http/1.1\r\n" + HOST + b"\r\n"),
    "HTTP/2 preface": Refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "method with a control": Refused(b"G\x01T / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "garbage": Refused(b"\x17\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "expectation in doubt": Refused(_POST + b"Expect: tea\r\nContent-Length: 5\r\n\r\nhello", 417),
    "TRACE": Refused(b"TRACE / HTTP/1.1\r\n" + HOST + b"Max-Forwards: 0\r\n\r\n", 405),
    "CONNECT": Refused(b"CONNECT shop.localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "20 kB header": Refused(_GET + b"A: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    "64 kB header": Refused(_GET + b"A: " + b"a" * 65_536 + b"\r\n\r\n", 431),
    "64 kB header name": Refused(_GET + b"A" * 65_536 + b": b\r\n\r\n", 431),
    "64 kB of headers": Refused(_GET + b"".join(b"A%d: %b\r\n" % (n, b"a" * 4000) for n in range(16)) + b"\r\n", 431),
    "1 MB cookie": Refused(_GET + b"Cookie: " + b"a" * 1_000_000 + b"\r\n\r\n", 431),
    "200 headers": Refused(_GET + b"A: b\r\n" * 200 + b"\r\n", 431),
    "5000 headers": Refused(_GET + b"A: b\r\n" * 5000 + b"\r\n", 431),
    "20 kB target": Refused(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "1 MB target": Refused(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
}  # fmt: skip

_LAST = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
_LAST_LINE = b"GET /last HTTP/1.1"

CARRIED = {
    "pipelined": Carried(
        _GET + b"\r\n" + b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n" + _LAST,
        (b"GET / HTTP/1.1", b"GET /2 HTTP/1.1", _LAST_LINE),
    ),
    "pipelined behind a body": Carried(
        _POST + b"Content-Length: 5\r\n\r\nhello" + _LAST, (b"POST / HTTP/1.1", _LAST_LINE), bodies=b"hello"
    ),
    "a request in a body is a body": Carried(
        _POST + b"Content-Length: %d\r\n\r\n" % len(_CANARY) + _CANARY + _LAST,
        (b"POST / HTTP/1.1", _LAST_LINE),
        bodies=_CANARY,
    ),
    "a request in a chunk is a body": Carried(
        _POST + _CHUNKED + b"%x\r\n" % len(_CANARY) + _CANARY + b"\r\n0\r\n\r\n" + _LAST,
        (b"POST / HTTP/1.1", _LAST_LINE),
        bodies=_CANARY,
    ),
    "a body on a GET": Carried(
        _GET + b"Content-Length: %d\r\n\r\n" % len(_CANARY) + _CANARY + _LAST,
        (b"GET / HTTP/1.1", _LAST_LINE),
        bodies=_CANARY,
    ),
    "chunk extensions and trailers": Carried(
        _POST + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n" + _LAST,
        (b"POST / HTTP/1.1", _LAST_LINE),
        (b"a=b", b"trailer:"),
        bodies=b"hello",
    ),
    "nominated headers": Carried(
        _GET + b"Connection: close, X-Hop, Cookie\r\nX-Hop: 1\r\nCookie: a\r\n\r\n",
        (b"GET / HTTP/1.1",),
        (b"x-hop", b"cookie"),
    ),
    "a nominated length still frames": Carried(
        _POST + b"Connection: Content-Length\r\nContent-Length: %d\r\n\r\n" % len(_CANARY) + _CANARY + _LAST,
        (b"POST / HTTP/1.1", _LAST_LINE),
        bodies=_CANARY,
    ),
    "spoofed forwarding": Carried(
        _GET + b"X-Forwarded-Proto: https\r\nX_Forwarded_Proto: https\r\nX-Forwarded-Host: evil\r\nProxy: evil\r\n"
        b"Connection: close\r\n\r\n",
        (b"GET / HTTP/1.1",),
        (b"https", b"evil"),
    ),
    "absolute target beats Host": Carried(
        b"GET http://shop.localhost/x?y HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n",
        (b"GET /x?y HTTP/1.1",),
        (b"other.localhost",),
    ),
    "HTTP/1.0": Carried(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", (b"GET / HTTP/1.1",)),
    "empty lines first": Carried(b"\r\n\r\n" + _LAST, (_LAST_LINE,)),
    "odd but legal target": Carried(
        b"GET //a/../b;c?d=%00&e=\"' HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        (b"GET //a/../b;c?d=%00&e=\"' HTTP/1.1",),
    ),
}  # fmt: skip
