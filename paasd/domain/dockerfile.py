"""A Dockerfile's lines as BuildKit's parser puts them together (moby/buildkit, frontend/dockerfile/parser)."""

import re
from collections.abc import Iterator

SPACE = r"[ \t\v\f\r]"  # between the words of an instruction
_DIRECTIVE = re.compile(rf"#{SPACE}*(?P<name>[a-z][a-z0-9]*){SPACE}*={SPACE}*+(?P<value>.+)", re.IGNORECASE)


def instructions(text: str) -> Iterator[tuple[str, int]]:
    """Each instruction on one line, with the index of its last line. Comments are left out, between the lines of an
    instruction too; a line inside a heredoc counts as an instruction of its own."""
    lines = text.split("\n")
    goes_on = re.compile(rf"(?:^|(?<!{(escape := re.escape(_escape(lines)))})){escape}[ \t\r]*$")
    whole, last = "", -1
    for index, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text = line.strip() if not whole else line.rstrip()
        joined = goes_on.sub("", text)
        whole, last = whole + joined, index
        if joined == text:
            yield whole.strip(), last
            whole = ""
    if whole.strip():
        yield whole.strip(), last


def _escape(lines: list[str]) -> str:
    """What `# escape=` says: only among the directives at the top, where any other line ends them."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match["name"].lower() == "escape":
            return match["value"][0]
    return "\\"
