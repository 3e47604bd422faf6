"""One answer on its way to a client: framing for its version of HTTP, and what to do when it can't be finished."""

from router import headers
from router.call import Call
from router.client import ClientConnection

_BODYLESS = frozenset((204, 304))


class Reply:
    """Writes one answer. `begun`: the final head is out, so that no other answer can be given any more."""

    def __init__(self, client: ClientConnection, call: Call, *, http11: bool, keep_alive: bool) -> None:
        self._client = client
        self._call = call
        self._http11 = http11
        self._chunked = False
        self._ends_by_close = False
        self.keep_alive = keep_alive
        self.begun = False

    def whole(self, data: bytes, status: int, body_bytes: int) -> None:
        """Send an answer of our own, head and body at once."""
        self._call.status, self._call.sent, self.begun = status, body_bytes, True
        self._client.send(data)

    def interim(self, status: int, reason: str, raw: tuple[headers.Header, ...]) -> None:
        """Pass a 1xx on; HTTP/1.0 knows none."""
        if self._http11:
            self._client.send(headers.response_to_client(status, reason, raw, drop_length=True, ours=[]))

    def switch(self, reason: str, raw: tuple[headers.Header, ...]) -> None:
        """Pass the app's 101 on; what follows is no longer HTTP."""
        ours = [b"Connection: Upgrade", b"Upgrade: websocket"]
        head = headers.response_to_client(101, reason, raw, drop_length=True, ours=ours)
        self.begun, self.keep_alive, self._call.status = True, False, 101
        self._client.send(head)

    def begin(self, status: int, reason: str, raw: tuple[headers.Header, ...], *, to_head: bool, first: bytes) -> None:
        """Send the app's head, and `first`, what there is of its body already."""
        has_length = any(name.lower() == b"content-length" for name, _ in raw)
        bodyless = to_head or status in _BODYLESS
        self._chunked = not bodyless and not has_length and self._http11
        self._ends_by_close = not bodyless and not has_length and not self._http11
        if self._ends_by_close:
            self.keep_alive = False
        ours = [b"Transfer-Encoding: chunked"] if self._chunked else []
        if not self.keep_alive:
            ours.append(b"Connection: close")
        elif not self._http11:
            ours.append(b"Connection: keep-alive")
        head = headers.response_to_client(status, reason, raw, drop_length=status == 204, ours=ours)
        self.begun, self._call.status, self._call.sent = True, status, len(first)
        self._client.send(head + self._framed(first) if first else head)

    async def body(self, chunk: bytes) -> None:
        """Send more of the body and wait for room."""
        self._call.sent += len(chunk)
        self._client.send(self._framed(chunk))
        await self._client.drained()

    def finish(self) -> None:
        """The body is complete."""
        if self._chunked:
            self._client.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """The body can't be completed: close so that no client can take it for complete."""
        self.keep_alive = False
        transport = self._client.transport
        if transport is None:
            return
        if self._ends_by_close:
            transport.abort()
        else:
            transport.close()

    def _framed(self, chunk: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk
