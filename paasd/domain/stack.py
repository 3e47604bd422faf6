"""Stacks: the images that apps without a Dockerfile are built on, and which of them an app gets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

PYTHONS: Mapping[str, str] = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}
DEFAULT = "bookworm"
MACHINE = "machine"  # an engine without images builds on what it runs on
NODES = ("24", "22", "20")

SHARED = "wheels"
"""Whose the cache is that all apps share, where an app's id stands otherwise."""

Version = tuple[int, ...]


class Packages(Enum):
    """What an app's packages take: wheels alone, building some from their source, or compilers for that.

    The value ends how the stack of a build is recorded that needed it, so that the next begins with that.
    """

    WHEELS = ""
    SDISTS = "+sdists"
    COMPILERS = "+compilers"


COMPILED = frozenset(
    "bcrypt brotli cffi cryptography gevent greenlet grpcio hiredis httptools lxml mysqlclient numpy orjson pandas"
    " pillow psutil psycopg-c psycopg2 psycopg2-binary pycairo pycrypto pynacl python-ldap regex scipy ujson uvloop"
    " uwsgi".split()
)
"""Packages whose sources are of no use without a compiler: where they have no wheel, nothing less is tried."""


def packages_of(label: str) -> Packages:
    """What a build took, by its recorded stack."""
    return next((one for one in Packages if one.value and label.endswith(one.value)), Packages.WHEELS)


@dataclass(frozen=True, slots=True)
class Stack:
    """An image to build on. `version` says which making of it, such as 20261126, "" where that is not known."""

    name: str
    python: str  # "3.11"
    version: str = ""

    @property
    def image(self) -> str:
        """What a Dockerfile calls it."""
        return f"paasd/stack:{self.name}"

    @property
    def label(self) -> str:
        """How a build is recorded: bookworm-20261126."""
        return f"{self.name}-{self.version}" if self.version else self.name


BOOKWORM = Stack(DEFAULT, PYTHONS[DEFAULT])


@dataclass(frozen=True, slots=True)
class Stacks:
    """What builds may stand on here, the default first. `nodes` are the versions of Node by their major one."""

    stacks: tuple[Stack, ...] = (BOOKWORM,)
    nodes: Mapping[str, str] = field(default_factory=dict)

    @property
    def default(self) -> Stack:
        """Bookworm where it is here. It is named even where nothing is, so that the build says what is missing."""
        return next((stack for stack in self.stacks if stack.name == DEFAULT), [*self.stacks, BOOKWORM][0])

    @property
    def remedy(self) -> str:
        """What else to do, by whoever asks for a version that is not here."""
        if self.default.name == MACHINE:
            return "or push to a paasd with --engine docker, whose stacks have others"
        return "or have the operator add a stack (`paasd stack build`)"


def parse_version(text: str) -> Version:
    """(3, 11, 2) of "3.11.2"; what follows the numbers does not count."""
    match = re.match(r"v?(\d+(?:\.\d+){0,2})", text.strip())
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def nearest(wanted: Version, found: Sequence[str]) -> str | None:
    """The version next above what is wanted, else the highest; None when there is none at all."""
    ordered = sorted(found, key=parse_version)
    above = [one for one in ordered if parse_version(one) >= wanted[: len(parse_version(one))]]
    return above[0] if above else ordered[-1] if ordered else None
