"""A .dockerignore, read as Docker's SDK reads it, but in a time that no pattern makes long: each is matched without
going back in it, since one of a few more `*` would else hold the whole daemon for hours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paasd.domain.errors import BuildFailed

FILE = ".dockerignore"
PATTERNS_MAX, TEXT_BYTES = 1000, 256 * 1024
STARS_MAX = 2  # `*` of a pattern, and one `**`, that an expression may do: it goes back in these alone
STAR, DEEP, REST = "[^/]*", "(?:.*/)?", ".*"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line. `parts` are expressions of one character each, or STAR, DEEP, REST; `depth` is its number of names."""

    parts: tuple[str, ...]
    depth: int
    exception: bool

    def matches(self, path: str) -> bool:
        """All of the path."""
        if self.parts.count(STAR) <= STARS_MAX and self.parts.count(DEEP) <= 1:
            return re.fullmatch("".join(self.parts), path, re.DOTALL) is not None
        return self._step_by_step(path)

    def _step_by_step(self, path: str) -> bool:
        """By all the places in the path that the parts up to here may have come to."""
        places = {0}
        for part in self.parts:
            if part == STAR:
                places = {end for place in places for end in range(place, _end_of_name(path, place) + 1)}
            elif part == DEEP:
                first = min(places, default=len(path))
                places |= {index + 1 for index in range(first, len(path)) if path[index] == "/"}
            elif part == REST:
                places = {len(path)} if places else places
            else:
                one = re.compile(part)
                places = {place + 1 for place in places if place < len(path) and one.fullmatch(path[place])}
        return len(path) in places


@dataclass(frozen=True, slots=True)
class Ignore:
    """What a .dockerignore leaves out; `exceptions` when a `!` may bring something back from below what is left out."""

    patterns: Sequence[Pattern]

    @property
    def exceptions(self) -> bool:
        """Whether one begins with `!`."""
        return any(pattern.exception for pattern in self.patterns)

    def matches(self, path: str) -> bool:
        """Whether it, or a folder that it lies in, is left out: the last line that says something of it counts."""
        if path == FILE:
            return False
        above, left_out = path.split("/")[:-1], False
        for pattern in self.patterns:
            if pattern.matches(path) or (
                0 < pattern.depth <= len(above) and pattern.matches("/".join(above[: pattern.depth]))
            ):
                left_out = not pattern.exception
        return left_out


def read_ignore(source: Path) -> Ignore | None:
    """The source's; None where it has none. BuildFailed for one that can't be read."""
    if (source / FILE).is_symlink() or not (source / FILE).is_file():
        return None
    with (source / FILE).open("rb") as file:
        text = file.read(TEXT_BYTES + 1).decode(errors="replace")
    if len(text) > TEXT_BYTES:
        raise BuildFailed(f"{FILE} is larger than {TEXT_BYTES // 1024} kB; take some patterns out.")
    lines = (line.strip() for line in text.splitlines())
    patterns = [line for line in lines if line and not line.startswith("#")]
    if len(patterns) > PATTERNS_MAX:
        raise BuildFailed(f"{FILE} has more than {PATTERNS_MAX} patterns; take some out.")
    return Ignore([pattern for line in patterns if (pattern := parse(line)).depth])


def parse(line: str) -> Pattern:
    """BuildFailed for a range of characters that is none."""
    names: list[str] = []
    for name in line.removeprefix("!").strip().split("/"):
        if name == "..":
            del names[-1:]
        elif name not in ("", "."):
            names.append(name)
    return Pattern(tuple(_parts("/".join(names))), len(names), line.startswith("!"))


def _parts(text: str) -> list[str]:
    parts, rest = [], text
    while rest:
        if rest.startswith("**"):
            rest = rest[2:].removeprefix("/")
            parts.append(DEEP if rest else REST)
        elif (match := re.match(r"\[(!?)(\]?[^\]]*)\]", rest)) is not None and match[2]:
            begin = "^" if match[1] else "\\" if match[2][0] == "^" else ""
            parts.append("[" + begin + match[2].replace("\\", "\\\\") + "]")
            _check(parts[-1], match[0])
            rest = rest[match.end() :]
        else:
            parts.append({"*": STAR, "?": "[^/]"}.get(rest[0]) or re.escape(rest[0]))
            rest = rest[1:]
    return parts


def _check(expression: str, shown: str) -> None:
    try:
        re.compile(expression)
    except re.error as error:
        raise BuildFailed(f"{FILE}: {shown[:60]!a} is no range of characters ({error}); correct it.") from error


def _end_of_name(path: str, place: int) -> int:
    found = path.find("/", place)
    return found if found >= 0 else len(path)
