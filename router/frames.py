"""Where a websocket's frames end, followed from the bytes that pass: a word of our own may only be said in between."""

SERVICE_RESTART = b"\x88\x02\x03\xf4"  # a close frame with code 1012, as a server sends it
SERVICE_RESTART_MASKED = b"\x88\x82\x00\x00\x00\x00\x03\xf4"  # the same, as a client does


class FrameBoundary:
    """Follows one direction of one websocket; nothing is kept but a frame's head that is not complete yet."""

    __slots__ = ("_head", "_missing", "_payload")

    def __init__(self) -> None:
        self._head = b""
        self._missing = 2
        self._payload = 0

    @property
    def reached(self) -> bool:
        """Whether the bytes so far end with a frame."""
        return not self._head and not self._payload

    def feed(self, data: bytes) -> None:
        """Follow the next bytes."""
        position, size = 0, len(data)
        while position < size:
            if self._payload:
                taken = min(self._payload, size - position)
                self._payload -= taken
            else:
                taken = min(self._missing, size - position)
                self._head += data[position : position + taken]
                self._missing -= taken
                if not self._missing:
                    self._read_head()
            position += taken

    def _read_head(self) -> None:
        short = self._head[1] & 0x7F
        extended = {126: 2, 127: 8}.get(short, 0)
        self._missing = 2 + extended + (4 if self._head[1] & 0x80 else 0) - len(self._head)
        if not self._missing:
            self._payload = int.from_bytes(self._head[2 : 2 + extended], "big") if extended else short
            self._head = b""
            self._missing = 2
