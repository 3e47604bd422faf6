"""requirements.txt: the dependency layer depends on what the installation reads, and on nothing else."""

import re
from pathlib import Path

from paasd.builders.source import read_text
from paasd.domain.errors import BuildFailed

REQUIREMENTS = "requirements.txt"
INCLUDE = re.compile(r"^[^\S\n]*(?:-r|-c|--requirement|--constraint)[ =]?\s*+(\S+)", re.MULTILINE)
LOCAL = re.compile(
    r"^[ \t]*(?:-e\b|--editable\b|(?:-f|--find-links)[ =]\s*(?!https?:)|\.|/|file:|[^#\n]*@\s*file:"
    r"|(?!-)[^#\s@:]+(?:/|\.(?:whl|zip|tar|tgz|tbz|tlz|txz)\b))",
    re.MULTILINE,
)


def lines_of(source: Path, requirements: str) -> list[str]:
    """The lines of the file and of those that it includes, as far as they are known before the installation."""
    files = included(source, REQUIREMENTS, requirements, ()) or (REQUIREMENTS,)
    return [line for name in files for line in (read_text(source, name) or "").splitlines()]


def included(source: Path, name: str, text: str, seen: tuple[str, ...]) -> tuple[str, ...] | None:
    """`name` and the requirement files it names, each once; None when one installs from the source tree itself."""
    seen = (*seen, name)
    if LOCAL.search(text):
        return None
    for match in INCLUDE.finditer(text):
        child = str(Path(name).parent / match[1])
        if "://" in match[1] or child in seen:
            continue
        if ".." in Path(child).parts or child.startswith("/"):
            return None
        child_text = read_text(source, child)
        if child_text is None:
            raise BuildFailed(f"{name} includes {match[1]!r}, which is not in the repository; commit it.")
        files = included(source, child, child_text, seen)
        if files is None:
            return None
        seen = files
    return seen
