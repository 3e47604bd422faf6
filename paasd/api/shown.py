"""What a build or a release command printed, on its way to a pusher's terminal: it may colour its words, not steer."""

import codecs
import re

PLAIN = re.compile(rb"[\t\n\r\x20-\x7e]*")
STEERS = re.compile(r"\x1b(?!\[[0-9;:]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
UNFINISHED = re.compile(r"\x1b(?:\[[0-9;:]{0,32})?\Z")
INSTEAD = "\N{REPLACEMENT CHARACTER}"


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
