"""Files of a push that are read by expressions: none of their texts makes that take long.

An expression holds the whole daemon while it is matched: a minute of that is a minute without it, for everybody.
"""

import resource
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from paasd.builders.python_packages import parse_toml
from paasd.builders.python_web import tells_static_root
from paasd.builders.requirements import INCLUDE, LOCAL
from paasd.builders.wheels import plain_requirements
from paasd.domain.dockerfile import instructions
from paasd.domain.errors import BuildFailed
from paasd.domain.version_range import satisfies

MANY = 60_000  # a quarter of what a file may have; each of these took seconds, so a whole one minutes
SPACES, LINES = " " * MANY, "\n" * MANY


def plain(text: str) -> object:
    return plain_requirements([text])


def engine(text: str) -> object:
    return satisfies((24,), text)


def dockerfile(text: str) -> object:
    return list(instructions(text))


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (plain, f"a{SPACES}b"),
        (plain, f"a{SPACES}\\"),
        (plain, f"a --hash=sha256:{SPACES}"),
        (engine, f">{SPACES}>"),
        (engine, "1" * MANY),
        (INCLUDE.findall, LINES),
        (INCLUDE.findall, f"-r{LINES}" * 2),
        (LOCAL.search, LINES),
        (dockerfile, f"#a=b{SPACES}b\nFROM a\n"),
        (dockerfile, f"#{SPACES}a{SPACES}={SPACES}\nFROM a\n"),
        (tells_static_root, LINES),
        (tells_static_root, "STORAGES " * (MANY * 4 // 9)),
    ],
)
def test_no_text_takes_long(read: Callable[[str], object], text: str) -> None:
    """Bites: each of these expressions as it would be written first, with `\\s*` at its beginning."""
    began = time.monotonic()
    read(text)
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 20_000 + " = 1\n",
        "[a" + " . 'a'" * 20_000 + "]\n",
        "a = " + "[" * 100_000,
        "a = " + "9" * 5_000,
        f"{'a.' * 400}b = 1\n" * 100,
    ],
)
def test_no_toml_fills_the_memory(text: str) -> None:
    """Bites: without DOTS_MAX the first takes 1.5 GB, and a whole file of it 60; what is deep, or a long number, is an
    error of the daemon's own where TOMLDecodeError alone is caught."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with suppress(BuildFailed):
        parse_toml(text, "pyproject.toml", "mend it")
    assert time.monotonic() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_they_say_what_they_said() -> None:
    """Bites: an expression that is quick, and another."""
    assert plain_requirements(["a \\\n  ; x\n  # why\nb==1 # no\nc --hash=sha256:" + "0" * 64 + " \\\n  \\\n\n"])
    assert not plain_requirements(["a \\\n  --no-binary :all:\n"])
    assert not plain_requirements(["# goes on \\\n--no-binary :all:\n"])
    assert INCLUDE.findall("\n\n  -r a.txt\n\xa0-c b.txt\nx -r c.txt\n") == ["a.txt", "b.txt"]
    assert tells_static_root("\n  STATIC_ROOT = 1\n") and not tells_static_root("MY_STATIC_ROOT = 1\n")
    assert tells_static_root("STORAGES = {'staticfiles': 1}\n") and tells_static_root("X_STORAGE = 'staticfiles.x'\n")
    assert not tells_static_root("staticfiles STORAGE\n") and not tells_static_root("STORAGES\nstaticfiles\n")
