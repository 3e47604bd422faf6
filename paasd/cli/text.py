"""Text that an app wrote, made safe to show: it may colour its words but not steer the terminal."""

from __future__ import annotations

import codecs
import re

# OSC, DCS, APC, PM and SOS strings; CSI sequences; other escapes; then every control character left.
_STRING = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
_CSI = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
_OTHER = r"\x1b[ -/]*[0-Z\\^-~]"
_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
_UNSAFE = re.compile(f"{_STRING}|{_CSI}|{_OTHER}|{_CONTROLS}")
_UNFINISHED = re.compile(r"(?:\x1b[\]PX^_][^\x07\x1b\x9c]*\x1b?|\x1b\[[0-?]*[ -/]*|\x1b[ -/]*)\Z")
_COLOR = re.compile(r"\x1b\[[0-9;:]*m")
LONGEST_SEQUENCE = 256


def printable(line: str) -> str:
    """The line without escape sequences and control characters; tabs stay."""
    return _UNSAFE.sub("", line)


class TerminalFilter:
    """A stream of bytes on its way to a terminal: colours, tabs and line ends pass, nothing else that steers it."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, chunk: bytes) -> bytes:
        """-> what may be shown now; a sequence cut off at the chunk's end waits for the next."""
        text = self._held + self._decoder.decode(chunk).replace("\r\n", "\n")
        unfinished = _UNFINISHED.search(text)
        self._held = ""
        if unfinished and len(unfinished[0]) <= LONGEST_SEQUENCE:
            self._held, text = unfinished[0], text[: unfinished.start()]
        return _UNSAFE.sub(lambda match: match[0] if _COLOR.fullmatch(match[0]) else "", text).encode()
