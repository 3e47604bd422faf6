"""What a build or a release command printed, on its way to a pusher's terminal: it may colour its words, not steer."""

import codecs
import re

PLAIN = re.compile(rb"[\t\n\r\x20-\x7e]*")
STEERS = re.compile(r"\x1b(?!\[[0-9;:]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
UNFINISHED = re.compile(r"\x1b(?:\[[0-9;:]{0,32})?\Z")
PIECES = re.compile(rb"[^\r\n]+|[\r\n]+")
LINE_BYTES = 64 * 1024
INSTEAD = "\N{REPLACEMENT CHARACTER}"


class Lines:
    """A stream of bytes whose lines are cut at LINE_BYTES, which is said: git holds each in memory until it ends."""

    def __init__(self) -> None:
        self._length = 0  # of the line so far

    def feed(self, data: bytes) -> bytes:
        """What of it is to be shown."""
        if self._length + len(data) <= LINE_BYTES:
            end = max(data.rfind(b"\n"), data.rfind(b"\r"))
            self._length = self._length + len(data) if end < 0 else len(data) - end - 1
            return data
        return b"".join(self._piece(piece) for piece in PIECES.findall(data))

    def _piece(self, piece: bytes) -> bytes:
        length = self._length
        if piece[0] in b"\r\n":
            self._length = 0
            return piece if length <= LINE_BYTES else b" [%d bytes left out]%b" % (length - LINE_BYTES, piece)
        self._length += len(piece)
        return piece[: max(0, LINE_BYTES - length)]


class Shown:
    """A stream of bytes as UTF-8, with what would steer a terminal made visible. (git gives it on as it is.)"""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._plain = True  # nothing is held back

    def feed(self, data: bytes) -> bytes:
        """What may be shown now: a letter or a colour that the end cuts off waits for the next."""
        if self._plain and PLAIN.fullmatch(data):
            return data
        text = self._held + self._decoder.decode(data)
        unfinished = UNFINISHED.search(text)
        self._held = unfinished[0] if unfinished else ""
        self._plain = not self._held and not self._decoder.getstate()[0]
        return STEERS.sub(INSTEAD, text.removesuffix(self._held)).encode()
