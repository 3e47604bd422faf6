"""Which installations may use the cache of wheels that all apps share.

What is in that cache is taken by others without a further look, so that no code of an app's or of a package's may run
beside it. uv is told to build nothing and to compile nothing; but a file of requirements can overrule it (`--no-binary`
does, even beside `--no-build`), and a lock can name another place for a package's file than its index. So this lets
through only what says names, versions, markers and hashes, by what is allowed, not by what is known to harm. All else
is installed out of a cache that is the app's own.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from paasd.builders.requirements import INCLUDE

BLANK = " \t"
# From a blank's first on, and not back in it: else a long one takes minutes, in which the daemon does nothing else.
COMMENT = re.compile(r"(?:^|(?<![ \t])[ \t]++)#[^\n]*", re.MULTILINE)
HASH = re.compile(r"(?<![ \t])[ \t]++--hash[= ]sha256:[0-9a-f]{64}(?=[ \t]|$)")
FILE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]?[ \t]*[A-Za-z0-9_][A-Za-z0-9_./-]*")
REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 \t._\-\[\],<>=!~;'\"()*+]*")
OPTION = re.compile(r"[ \t]-|[;,]-")
TEXT = re.compile(r"[\t\n\r\x20-\x7e]*")
LINE = re.compile(r"[\x20-\x7e]*")
LOCK_KEYS = frozenset({"version", "revision", "requires-python", "resolution-markers", "options", "package"})
HARMLESS_SETTINGS = frozenset({"package", "dev-dependencies", "default-groups", "managed"})  # of [tool.uv]


def plain_requirements(texts: Iterable[str]) -> bool:
    """Whether these files say names, versions, markers, hashes and each other's names, and nothing else."""
    return all(_plain(text) for text in texts)


def _plain(text: str) -> bool:
    if not TEXT.fullmatch(text):
        return False
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if any(match[0].endswith("\\") for match in COMMENT.finditer(text)):
        return False  # readers differ on whether a comment goes on behind it
    for raw in _joined(COMMENT.sub("", text)).split("\n"):
        line = HASH.sub("", raw.strip(" \t"))
        if line and not plain_requirement(line) and not (FILE.fullmatch(line) and INCLUDE.match(line)):
            return False
    return True


def _joined(text: str) -> str:
    """The lines that go on (`\\`), each as one."""
    return " ".join(part.strip(BLANK) for part in text.split("\\\n"))


def plain_requirement(line: str) -> bool:
    """Whether it is a name with what belongs to it: no option, no URL, no path."""
    return REQUIREMENT.fullmatch(line) is not None and OPTION.search(line) is None


def plain_project(document: Mapping[str, Any]) -> bool:
    """Whether a pyproject.toml lists plain requirements, itself, and leaves uv its settings."""
    project, tools = document.get("project"), document.get("tool", {})
    settings = tools.get("uv", {}) if isinstance(tools, dict) else None
    if not isinstance(project, dict) or not isinstance(settings, dict):
        return False
    listed = project.get("dependencies", [])
    return (
        "dynamic" not in project
        and set(settings) <= HARMLESS_SETTINGS
        and isinstance(listed, list)
        and all(isinstance(one, str) and plain_requirement(one.strip()) for one in listed)
    )


def plain_lock(lock: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether all in a uv.lock is the index's, but the project itself, and has a wheel.

    uv takes what stands there as it is, and writes it into a list that it reads again: so no text goes on in another
    line, nothing is there that is not known, and nothing but the project, which is left out, lies in the source.
    """
    packages = lock.get("package")
    if not set(lock) <= LOCK_KEYS or not _in_one_line(lock) or not isinstance(packages, list):
        return False
    tables = [one for one in packages if isinstance(one, dict)]
    own = ({"virtual": "."}, {"editable": "."})
    here = [normal_name(one.get("name")) for one in tables if one.get("source") in own]
    others = [one for one in tables if list(one.get("source") or ()) == ["registry"] and one.get("wheels")]
    # Of one index, since of several uv's own would be asked for what is another's. What it has not, or has with another
    # hash, is then taken from where the lock says, with the app's own cache.
    if len({str(one["source"]["registry"]) for one in others}) > 1:
        return False
    return len(here) + len(others) == len(packages) and here == [normal_name(document.get("project", {}).get("name"))]


def _in_one_line(found: object) -> bool:
    """Whether all texts in it are of printable ASCII."""
    if isinstance(found, dict):
        return all(_in_one_line(key) and _in_one_line(one) for key, one in found.items())
    return all(map(_in_one_line, found)) if isinstance(found, list) else LINE.fullmatch(str(found)) is not None


def normal_name(name: object) -> str:
    """A package's, as all its spellings are compared: flask-login of Flask_Login."""
    return re.sub(r"[-_.]+", "-", str(name)).lower()
