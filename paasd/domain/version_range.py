"""Ranges of versions, as pyproject.toml (PEP 440) and package.json (semver) write them: as far as they tell two minor
versions apart. What can't be read satisfies everything: it is the installer's to refuse."""

import re

Version = tuple[int, ...]
CHARACTERS = 1000  # beyond it nobody wrote a range

PIECE = re.compile(r"(?P<op>===|==|~=|!=|>=|<=|>|<|\^|~|=)?\s*v?(?P<version>\d+(?:\.(?:\d+|[*xX])){0,3}|[*xX])")


def satisfies(version: Version, wanted: str) -> bool:
    """Whether `version`, such as (3, 11), has a release in the range: >=3.10,<4 or ^18 || >=20 or 3.11.*.

    A version is as long as what is known of it: (24,) satisfies ~24.3, since some 24 does.
    """
    if len(wanted) > CHARACTERS:
        return True
    return any(_all(version, part) for part in wanted.split("||"))


def _all(version: Version, wanted: str) -> bool:
    low, hyphen, high = wanted.partition(" - ")
    if hyphen:
        return _one(version, ">=", low.strip()) and _one(version, "<=", high.strip())
    return all(_one(version, match["op"] or "=", match["version"]) for match in PIECE.finditer(wanted))


def _one(version: Version, op: str, text: str) -> bool:
    wild = text.rstrip(".")[-1:] in "*xX"
    bound = tuple(int(part) for part in text.split(".") if part.isdigit())
    if not bound:
        return True
    size = min(len(version), len(bound))
    ours, theirs = version[:size], bound[:size]
    if op in (">=", "<="):
        return ours >= theirs if op == ">=" else ours <= theirs
    if op == ">":
        return ours > theirs or (ours == theirs and len(bound) > len(version))
    if op == "<":
        return ours < theirs or (ours == theirs and any(bound[size:]))
    if op == "!=":
        return ours != theirs or (len(bound) > len(version) and not wild)
    if op == "^":
        fixed = 1 if bound[0] or len(bound) == 1 else 2
        return ours[:fixed] == theirs[:fixed] and ours >= theirs
    if op == "~=":
        fixed = max(1, len(bound) - 1)
        return ours[:fixed] == theirs[:fixed] and ours >= theirs
    if op == "~":
        return ours[:2] == theirs[:2] and ours >= theirs
    return ours == theirs
