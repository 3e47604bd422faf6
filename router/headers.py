"""Header rules, both directions: what a hop keeps for itself, what the app is told, what may never pass. Bytes only."""

import re
from dataclasses import dataclass

from router.codes import Code, Fault

Header = tuple[bytes, bytes]

VIA = b"1.1 paasd-router"
_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
    )
) | frozenset((b"transfer-encoding", b"upgrade", b"http2-settings"))
_OURS = frozenset(
    (b"host", b"content-length", b"expect", b"proxy", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port")
) | frozenset((b"x-forwarded-host", b"x-request-id", b"x-request-start"))
_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#@]+)([/?][^#]*)?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HEADERS_BYTES = 32 * 1024
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{20,200}")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A client's request head, checked. `host` (lower case, no port) is for routing, `authority` is for the app."""

    method: bytes
    target: bytes
    host: str
    authority: bytes
    forwarded_for: bytes
    request_id: bytes | None
    content_length: bytes | None
    chunked: bool
    expects_continue: bool
    websocket: bool
    kept: tuple[Header, ...]

    @property
    def has_body(self) -> bool:
        return self.chunked or (self.content_length is not None and self.content_length.strip(b"0") != b"")


def read_request(method: str, target: str, http11: bool, raw: tuple[Header, ...]) -> RequestHead:
    """Check a parsed head. Raises Fault (H26) where two readers of it could disagree, or it asks what we don't do."""
    values: dict[bytes, list[bytes]] = {}
    if sum(len(name) + len(value) for name, value in raw) > _HEADERS_BYTES:
        raise Fault(Code.H26, "The request's headers are too long: send at most 32 kB in all.", 431)
    for name, value in raw:
        values.setdefault(name.lower(), []).append(value)
    nominated = _tokens(values.get(b"connection", []))
    raw_target, authority = _target(target.encode("utf-8", "surrogateescape"), values.get(b"host", []))
    host = _HOST.fullmatch(authority)
    if host is None:
        raise Fault(Code.H26, "The Host header is not a host name: send the app's host name.")
    length, chunked = _framing(values, http11)
    expect = [value.lower() for value in values.get(b"expect", [])]
    if expect not in ([], [b"100-continue"]):
        raise Fault(Code.H26, "Only 'Expect: 100-continue' can be met: leave other expectations out.", 417)
    given_id = values.get(b"x-request-id", [])
    keeps_id = len(given_id) == 1 and _REQUEST_ID.fullmatch(given_id[0])
    upgrade = [value.lower() for value in values.get(b"upgrade", [])]
    if b"upgrade" in nominated and b"h2c" in _tokens(upgrade):
        # An offer could be left unanswered; but what passes one on by mistake has its own next requests smuggled.
        raise Fault(Code.H26, "HTTP/2 is not spoken here: use HTTP/1.1, without an upgrade to h2c.")
    return RequestHead(
        method=method.encode(),
        target=raw_target,
        host=host[1].decode().lower().rstrip("."),
        authority=authority,
        forwarded_for=b", ".join(values.get(b"x-forwarded-for", [])),
        request_id=given_id[0] if keeps_id else None,
        content_length=length,
        chunked=chunked,
        expects_continue=bool(expect) and http11,
        websocket=upgrade == [b"websocket"] and b"upgrade" in nominated and method == "GET" and http11 and not chunked,
        kept=tuple(header for header in raw if _passes(header[0].lower(), nominated)),
    )


def request_to_app(
    head: RequestHead, *, client: bytes, scheme: bytes, port: int, request_id: bytes, started_ms: int
) -> bytes:
    """The head to send to the app."""
    forwarded_for = head.forwarded_for + b", " + client if head.forwarded_for else client
    lines = [b"%s %s HTTP/1.1" % (head.method, head.target), b"Host: " + head.authority]
    lines += [b"%s: %s" % header for header in head.kept]
    lines += [
        b"X-Forwarded-For: " + forwarded_for,
        b"X-Forwarded-Proto: " + scheme,
        b"X-Forwarded-Port: %d" % port,
        b"X-Forwarded-Host: " + head.authority,
        b"X-Request-Id: " + request_id,
        b"X-Request-Start: %d" % started_ms,
        b"Via: " + VIA,
    ]
    if head.websocket:
        lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
    if head.expects_continue and head.has_body:
        lines.append(b"Expect: 100-continue")
    if head.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif head.content_length is not None:
        lines.append(b"Content-Length: " + head.content_length)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def response_to_client(
    status: int, reason: str, raw: tuple[Header, ...], *, drop_length: bool, ours: list[bytes]
) -> bytes:
    """The head to send to the client: the app's headers, duplicates and all, then `ours`. Raises Fault (H17)."""
    # Its length is no word between hops, whatever the app says: without one nobody could tell where its body ends.
    nominated = _tokens([value for name, value in raw if name.lower() == b"connection"]) - {b"content-length"}
    lines = [b"HTTP/1.1 %d %s" % (status, reason.encode("utf-8", "surrogateescape"))]
    for name, value in raw:
        lower = name.lower()
        if lower in _HOP or lower in nominated or (drop_length and lower == b"content-length"):
            continue
        if not _TOKEN.fullmatch(name):
            raise Fault(Code.H17)
        lines.append(b"%s: %s" % (name, value))
    lines.append(b"Via: " + VIA)
    lines += ours
    if any(_CONTROL.search(line) for line in lines):
        raise Fault(Code.H17)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _target(target: bytes, hosts: list[bytes]) -> tuple[bytes, bytes]:
    """The origin-form target and the authority; an absolute URI's authority beats Host, as RFC 9112 has it."""
    if len(hosts) != 1:
        raise Fault(Code.H26, "A request needs exactly one Host header: send the app's host name.")
    if target.startswith(b"/") or target == b"*":
        return target, hosts[0]
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Fault(Code.H26, "The request target is neither a path nor an http URL: mend it and send it again.")
    path = absolute[2] or b"/"
    return (path if path.startswith(b"/") else b"/" + path), absolute[1]


def _framing(values: dict[bytes, list[bytes]], http11: bool) -> tuple[bytes | None, bool]:
    lengths, codings = values.get(b"content-length", []), values.get(b"transfer-encoding", [])
    if len(lengths) > 1 or (lengths and codings) or (lengths and not lengths[0].isdigit()):
        raise Fault(Code.H26, "The request states its length in two ways: send one Content-Length or chunks.")
    if codings and (not http11 or [coding.strip().lower() for coding in codings] != [b"chunked"]):
        raise Fault(Code.H26, "The only transfer coding understood is chunked, in HTTP/1.1: send that.")
    return (lengths[0] if lengths else None), bool(codings)


def _passes(name: bytes, nominated: frozenset[bytes]) -> bool:
    # Apps behind WSGI can't tell X_Forwarded_Proto from X-Forwarded-Proto, so neither may a client set.
    plain = name.replace(b"_", b"-")
    return plain not in _HOP and plain not in _OURS and name not in nominated


def _tokens(values: list[bytes]) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))
