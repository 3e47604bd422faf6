"""A .dockerignore's patterns: as Docker's SDK reads them, and none of them takes long."""

import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest
from docker.utils.build import PatternMatcher

from paasd.adapters.docker_ignore import PATTERNS_MAX, Ignore, parse, read_ignore
from paasd.domain.errors import BuildFailed

PIECES = ("*", "**", "?", "a", "b", "/", ".", "..", "[ab]", "[!a]", "[^b]", "!", "[]", "a/", "**/", "\\")
PATHS = [
    "/".join(names) for count in (1, 2, 3) for names in itertools.product(("a", "b", "ab", ".a", "[]"), repeat=count)
]


def test_it_reads_as_the_sdk_does() -> None:
    """Bites: each of the parts left out in `_parts`, the folders above in `Ignore.matches`."""
    chance = random.Random(7)
    for _ in range(400):
        lines = ["".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(chance.randint(1, 3))]
        theirs: Any = PatternMatcher(lines)
        ours = Ignore([one for line in lines if (one := parse(line)).depth])
        assert [path for path in PATHS if theirs.matches(path)] == [path for path in PATHS if ours.matches(path)], lines


@pytest.mark.parametrize("line", ["*a" * 30 + "b", "**/a" * 30 + "b", "**a*" * 12 + "b", "?*" * 40 + "b"])
def test_no_pattern_takes_long(line: str) -> None:
    """With an expression for each the daemon stands still, for hours. Bites: STARS_MAX of 9."""
    pattern, began = parse(line), time.monotonic()
    assert not pattern.matches("a" * 250)
    assert not pattern.matches("/".join(["a" * 100] * 30))
    assert time.monotonic() - began < 1


def test_one_that_can_t_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("a[z-a]\n")
    with pytest.raises(BuildFailed, match=r"\.dockerignore: '\[z-a\]' is no range of characters"):
        read_ignore(tmp_path)
    (tmp_path / ".dockerignore").write_text("a\n" * (PATTERNS_MAX + 1))
    with pytest.raises(BuildFailed, match="more than 1000 patterns"):
        read_ignore(tmp_path)
