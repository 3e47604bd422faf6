"""The heads the fast lane takes, each read as a whole: nothing is read leniently, and what is not taken is not bad.

Every head taken means the same to any reader: one Host, no framing but one Content-Length, no words between hops.
"""

import re
from dataclasses import dataclass

LONGEST = 8190
_REMEMBERED = 256
_REMEMBERED_SIZE = 2048
_NO_CONTENT, _NOT_MODIFIED = 204, 304
_VIA = b"Via: 1.1 paasd-router\r\n\r\n"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+\r\n"

_LINE = re.compile(rb"(GET|HEAD|OPTIONS|DELETE) (/[\x21\x23-\x5b\x5d-\x7e]*+) HTTP/1\.1")
_HEADERS = re.compile(rb"\r\n(?:[A-Za-z0-9-]++:" + _VALUE + rb"){1,100}+\r\n")
_OF_NOTE = re.compile(
    rb"\n(?:[Hh]ost: (([a-z0-9.-]*[a-z0-9])(?::[0-9]{1,5})?)(?=\r)|[Cc]onnection: ([Kk]eep-[Aa]live)(?=\r)|"
    rb"[Hh](?i:ost:|ttp2-settings:)|[Cc](?i:ontent-length:|onnection:)|[Kk](?i:eep-alive:)|"
    rb"[Tt](?i:ransfer-encoding:|e:|railer:)|[Uu](?i:pgrade:)|[Ee](?i:xpect:)|[Pp](?i:roxy)|"
    rb"[Xx]-(?i:forwarded-|request-id:|request-start:))"
)

_ANSWER = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) " + _VALUE + rb"(?:[A-Za-z0-9_-]++:" + _VALUE + rb"){0,100}+\r\n")
_FRAMING = re.compile(
    rb"\n(?:[Cc](?i:ontent-length): ([0-9]{1,15})(?=\r)|[Cc](?i:onnection): ((?i:keep-alive|close))(?=\r)|"
    rb"[Kk](?i:eep-alive:)([^\r]*)|([Cc](?i:ontent-length|onnection):|[Tt](?i:ransfer-encoding:|e:|railer:)|"
    rb"[Uu](?i:pgrade:)|[Hh](?i:ttp2-settings:)|[Pp](?i:roxy-)))"
)  # fmt: skip
_BETWEEN_HOPS = re.compile(rb"\r\n(?i:connection|keep-alive):[^\r\n]*(?=\r\n)")


@dataclass(frozen=True, slots=True)
class Headers:
    """A request's headers: `lines` is what of them goes on to the app, from the end of the request line."""

    authority: bytes
    host: str
    lines: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's head: `lines` is what of it goes on to the client, with our own; `size` is that of what was read.

    `length` is the body's where the request was no HEAD; None where that can't be said plainly.
    """

    status: int
    length: int | None
    keeps: bool
    lines: bytes
    size: int


class Reader:
    """Reads heads, and remembers some: where requests come thick, the same headers come again and again."""

    def __init__(self) -> None:
        self._headers: dict[bytes, Headers] = {}
        self._answers: dict[bytes, Answer] = {}

    def request(self, data: bytes) -> tuple[bytes, bytes, Headers] | None:
        """Method, target and headers of the request that `data` is, all of it and no more; None if it is not plain."""
        if len(data) > LONGEST:
            return None
        end = data.find(b"\r\n")
        line = _LINE.fullmatch(data, 0, end) if end > 0 else None
        if line is None:
            return None
        block = data[end:]
        headers = self._headers.get(block)
        if headers is None:
            headers = _headers(block)
            if headers is None:
                return None
            if len(block) <= _REMEMBERED_SIZE:
                if len(self._headers) >= _REMEMBERED:
                    self._headers.clear()
                self._headers[block] = headers
        method, target = line.groups()
        return method, target, headers

    def answer(self, data: bytes) -> Answer | None:
        """The answer's head that `data` begins with; None for whatever is not plain, or not all there."""
        end = data.find(b"\r\n\r\n", 0, LONGEST)
        if end < 0:
            return None
        head = data[: end + 4]
        answer = self._answers.get(head)
        if answer is None:
            answer = _answer(head)
            if answer is not None and len(head) <= _REMEMBERED_SIZE:
                if len(self._answers) >= _REMEMBERED:
                    self._answers.clear()
                self._answers[head] = answer
        return answer


def _headers(block: bytes) -> Headers | None:
    if _HEADERS.fullmatch(block) is None:
        return None
    named: re.Match[bytes] | None = None
    lines = block[:-2]
    for found in _OF_NOTE.finditer(block):
        if found[1] is not None and named is None:
            named = found
        elif found[3] is not None and len(lines) == len(block) - 2:
            lines = block[: found.start() + 1] + block[found.end() + 2 : -2]
        else:
            return None
    return None if named is None else Headers(named[1], named[2].decode(), lines)


def _answer(head: bytes) -> Answer | None:
    match = _ANSWER.fullmatch(head)
    if match is None:
        return None
    length: int | None = None
    between_hops = False
    keeps = True
    for found in _FRAMING.finditer(head):
        digits, connection, _, other = found.groups()
        if other is not None or (digits is not None and length is not None):
            return None
        if digits is not None:
            length = int(digits)
        else:
            between_hops = True
            keeps = keeps and (connection is None or connection.lower() != b"close")
    status = int(match[1])
    if status == _NOT_MODIFIED:
        length = 0
    elif status == _NO_CONTENT:
        length = 0 if length is None else None
    lines = _BETWEEN_HOPS.sub(b"", head[:-2]) if between_hops else head[:-2]
    return Answer(status, length, keeps, lines + _VIA, len(head))
