"""What apps may answer that two readers could take differently, and what the client must get: one table."""

from dataclasses import dataclass

from router.codes import Code

_HOST = b"Host: shop.localhost\r\n"
_GET = b"GET / HTTP/1.1\r\n" + _HOST + b"\r\n"
_HEAD = b"HEAD / HTTP/1.1\r\n" + _HOST + b"\r\n"
_OLD = b"GET / HTTP/1.0\r\n" + _HOST + b"\r\n"
_KEPT_OLD = b"GET / HTTP/1.0\r\n" + _HOST + b"Connection: keep-alive\r\n\r\n"
_UPGRADE = (
    b"GET / HTTP/1.1\r\n" + _HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKS = _OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"


@dataclass(frozen=True)
class Answered:
    """A client's request, its app's answer, and each answer the client reads: status, and body where it is not ours.

    `has` and `lacks` (lower case) are about all bytes the client gets; `code` is what the request's one line says.
    `requests`: how many the app gets, each with a line of its own. `closes`: the app closes behind its answer.
    `broken`: the client gets anything but a whole answer of 200.
    `apart`: the connection to the app is used for nothing after that.
    """

    request: bytes
    app: bytes
    wanted: tuple[tuple[int, bytes | None], ...] = ()
    has: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = ()
    code: Code | None = None
    requests: int = 1
    closes: bool = False
    broken: bool = False
    apart: bool = False


_LEFT_OVER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary"
_LENGTH = b"Content-Length: %d\r\n\r\n" % len(_LEFT_OVER)


def _faulty(answer: bytes, code: Code = Code.H17) -> Answered:
    """Of which the client must see nothing but our own page."""
    return Answered(_GET, answer, ((code.status, None),), lacks=(b"canary",), code=code)


ANSWERED = {
    "HEAD": Answered(_HEAD, _OK + b"Content-Length: 5\r\n\r\n", ((200, b""),), (b"content-length: 5\r\n",)),
    "HEAD of chunks": Answered(_HEAD, _OK + b"Transfer-Encoding: chunked\r\n\r\n", ((200, b""),)),
    "HEAD answered with a body": Answered(
        _HEAD, _OK + _LENGTH + _LEFT_OVER, ((200, b""),), lacks=(b"canary",), apart=True
    ),
    "chunks": Answered(_GET, _CHUNKS, ((200, b"hello"),), (b"transfer-encoding: chunked\r\n",), (b"a=b", b"x-sum")),
    "body that ends with the connection": Answered(
        _GET, _OK + b"\r\nhello", ((200, b"hello"),), (b"transfer-encoding: chunked\r\n", b"\r\n0\r\n\r\n"), closes=True
    ),
    "body shorter than it says": Answered(
        _GET, _OK + b"Content-Length: 9\r\n\r\nhalf", code=Code.H18, closes=True, broken=True
    ),
    "chunks without an end": Answered(
        _GET, _CHUNKS[:-15], lacks=(b"\r\n0\r\n",), code=Code.H18, closes=True, broken=True
    ),
    "204 with a length": Answered(
        _GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ((204, b""),), lacks=(b"content-length: 5\r\n",)
    ),
    "204 with a body": Answered(
        _GET, b"HTTP/1.1 204 No Content\r\n" + _LENGTH + _LEFT_OVER, ((204, b""),), lacks=(b"canary",), apart=True
    ),
    "304 with a length": Answered(_GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ((304, b""),)),
    "304 with a body": Answered(
        _GET, b"HTTP/1.1 304 Not Modified\r\n" + _LENGTH + _LEFT_OVER, ((304, b""),), lacks=(b"canary",), apart=True
    ),
    "two answers to one request": Answered(
        _GET, _OK + b"Content-Length: 2\r\n\r\nok" + _LEFT_OVER, ((200, b"ok"),), lacks=(b"canary",), apart=True
    ),
    "CL and TE in the answer": _faulty(
        _OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _LEFT_OVER
    ),
    "TE and CL in the answer": _faulty(
        _OK + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + _LEFT_OVER
    ),
    "two CL in the answer": _faulty(_OK + b"Content-Length: 0\r\n" + _LENGTH + _LEFT_OVER),
    "negative CL in the answer": _faulty(_OK + b"Content-Length: -1\r\n\r\n" + _LEFT_OVER),
    "NUL in the answer": _faulty(_OK + b"X: a\x00b\r\nContent-Length: 6\r\n\r\ncanary"),
    "bare CR in the answer": _faulty(_OK + b"X: a\rSet-Cookie: canary\r\nContent-Length: 2\r\n\r\nok"),
    "chunks to HTTP/1.0": Answered(
        _OLD, _CHUNKS, ((200, b"hello"),), (b"connection: close\r\n",), (b"transfer-encoding", b"a=b", b"x-sum")
    ),
    "chunks to HTTP/1.0 that would be kept": Answered(
        _KEPT_OLD, _CHUNKS, ((200, b"hello"),), (b"connection: close\r\n",), (b"transfer-encoding",)
    ),
    "a length to HTTP/1.0 that would be kept": Answered(
        _KEPT_OLD, _OK + b"Content-Length: 2\r\n\r\nok", ((200, b"ok"),), (b"connection: keep-alive\r\n",)
    ),
    "nominated headers in the answer": Answered(
        _GET,
        _OK + b"Connection: X-Hop, keep-alive\r\nX-Hop: canary\r\nKeep-Alive: timeout=7\r\nContent-Length: 2\r\n\r\nok",
        ((200, b"ok"),),
        lacks=(b"canary", b"x-hop", b"timeout=7"),
    ),
    "a length nominated in the answer": Answered(
        _GET,
        _OK + b"Connection: Content-Length, X-Hop\r\nX-Hop: canary\r\nContent-Length: 2\r\n\r\nok",
        ((200, b"ok"),),
        (b"content-length: 2\r\n",),
        (b"canary",),
    ),
    "101 to who did not ask": _faulty(_SWITCH + _LEFT_OVER),
    "refused websocket with a request behind it": Answered(
        _UPGRADE + _GET.replace(b" / ", b" /behind "),
        b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno",
        ((426, b"no"), (426, b"no")),
        requests=2,
    ),
    "100 kB header in the answer": _faulty(
        _OK + b"X: " + b"a" * 100_000 + b"\r\nContent-Length: 6\r\n\r\ncanary", Code.H25
    ),
    "1000 headers in the answer": _faulty(_OK + b"X: a\r\n" * 1000 + b"Content-Length: 6\r\n\r\ncanary", Code.H25),
    "103 first": Answered(
        _GET, _HINTS + _OK + b"Content-Length: 2\r\n\r\nok", ((103, b""), (200, b"ok")), (b"link: </a.css>\r\n",)
    ),
    "103 to HTTP/1.0": Answered(
        _OLD, _HINTS + _OK + b"Content-Length: 2\r\n\r\nok", ((200, b"ok"),), lacks=(b" 103 ", b"link:")
    ),
}
