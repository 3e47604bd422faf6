"""What a pusher is told where git's own words name no remedy, or a status says nothing: in git's own stream."""

SIDEBAND = 2  # what a client shows as "remote: …"
FATAL = 3  # the same, and it ends there, as failed
WORDS = b"No space left on device"
ADVICE = (
    b"\n !     There is no room left for this push: free some disk space, or inodes, where paasd runs "
    b"(`paas disk` shows who uses it), then push again.\n\n"
)


def refused(message: str) -> bytes:
    """The whole answer to a push that was not begun. A status other than 200 is shown as a bare number by git."""
    words = f"\n !     {message}\n !     Push rejected.\n\n".encode()
    return _packet(SIDEBAND, words) + _packet(FATAL, b"the push was not begun")


class Advice:
    """Passes git's answer to a push on, byte by byte as it is, with the advice behind the packet that asks for it."""

    def __init__(self) -> None:
        self._rest = b""
        self._given = False

    def passed(self, data: bytes) -> bytes:
        """What can be passed on by now: whole packets."""
        self._rest += data
        out, at = bytearray(), 0
        while len(self._rest) - at >= 4:
            length = _length(self._rest[at : at + 4])
            if length is None:
                out += self._rest[at:]  # no packets after all: git speaks for itself
                at = len(self._rest)
                break
            if len(self._rest) - at < length:
                break
            packet = self._rest[at : at + length]
            out += packet
            at += length
            if not self._given and WORDS in packet and packet[4] == SIDEBAND:
                self._given = True
                out += _packet(SIDEBAND, ADVICE)
        self._rest = self._rest[at:]
        return bytes(out)

    def rest(self) -> bytes:
        """What was kept back when git ended in the middle of a packet."""
        rest, self._rest = self._rest, b""
        return rest


def _packet(band: int, words: bytes) -> bytes:
    return f"{len(words) + 5:04x}".encode() + bytes([band]) + words


def _length(digits: bytes) -> int | None:
    """Of a packet with its four digits; None where these are none. Flush and delimiters are the digits alone."""
    try:
        return max(int(digits, 16), 4)
    except ValueError:
        return None
