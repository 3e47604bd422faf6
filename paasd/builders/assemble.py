"""A Dockerfile for an app on a stack: system packages, each language's installation, the source, each language's build.

What is installed depends on its own files alone, so that a changed line of code rebuilds in the time of a file copy.
What is the same for every app (compilers, yarn, Poetry) comes before anything of the app's, so that the engine has it
once for all.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import Packages, Stack

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")
APTFILE = "Aptfile"
COMPILERS = ("gcc", "g++", "make", "pkg-config", "python3-dev", "libpq-dev", "libffi-dev")
APT = "-o Acquire::Languages=none -o Dpkg::Options::=--force-unsafe-io"  # a layer is synced as a whole, or made anew
CACHES = "/var/cache/paasd"  # below it each app's own, by its id: what is kept from build to build
RUN_LINE = re.compile(r"^RUN ((?:--mount=\S+\s+(?:\\\n\s*)?)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """One language's lines. `install` runs before the source is copied, `build` after it, as the app's user; `early`
    before anybody's `install`, since it writes to what all apps share.

    `stages` and `tools` name nothing of the app: stages that installations take from, and what stays in the image.
    `env` stays in the image; `path` are folders put before its PATH; a classic builder is given the `_classic` ones.
    """

    env: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    install: str = ""
    build: str = ""
    install_classic: str | None = None
    build_classic: str | None = None
    reasons: tuple[str, ...] = field(default=())
    stages: str = ""
    tools: str = ""
    early: str = ""


def assemble(source: Source, stack: Stack, parts: Sequence[Part]) -> tuple[str, str | None]:
    """The Dockerfile, and the one for engines without BuildKit where a part has lines of its own for that."""
    classic = any(part.install_classic is not None or part.build_classic is not None for part in parts)
    return _text(source, stack, parts, buildkit=True), (
        _text(source, stack, parts, buildkit=False) if classic else None
    )


def _text(source: Source, stack: Stack, parts: Sequence[Part], *, buildkit: bool) -> str:
    path = ":".join([*(folder for part in parts for folder in part.path), "$PATH"])
    env = " ".join([*(one for part in parts for one in part.env), f"PATH={path}", "HOME=/app"])
    secret = with_secrets if buildkit and source.secrets else str
    installs = [part.install if buildkit or part.install_classic is None else part.install_classic for part in parts]
    installs[:0] = dict.fromkeys(part.early for part in parts if buildkit or part.install_classic is None)
    builds = [part.build if buildkit or part.build_classic is None else part.build_classic for part in parts]
    return "".join(
        [
            *(dict.fromkeys(part.stages for part in parts) if buildkit else ()),
            f"FROM {stack.image}\nUSER root\n",  # whose folder is /app
            _compilers() if source.packages is Packages.COMPILERS else "",
            *dict.fromkeys(part.tools for part in parts),
            f"ENV {env}\n",
            _apt(source, buildkit=buildkit),
            *map(secret, installs),
            "COPY --chown=app:app . /app\n",
            "USER app\n",
            *map(secret, builds),
        ]
    )


def with_secrets(lines: str) -> str:
    """The same lines, whose commands see the config vars that a build may see: mounted for each, in no layer."""
    mount = "--mount=type=secret,id=paasd-env,required=true,uid=1000,mode=0400"
    return RUN_LINE.sub(rf"RUN {mount} \1. /run/secrets/paasd-env && ", lines)


def secret_files(values: Mapping[str, str]) -> dict[str, bytes]:
    """What a build's steps may mount: each config var by its name, and all as one text for a shell to source."""
    if not values:
        return {}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    text = "\n".join([f"PAASD_BUILD_VARS={shlex.quote(' '.join(values))}", *lines, ""])
    return {**{name: value.encode() for name, value in values.items()}, "paasd-env": text.encode()}


def _compilers() -> str:
    return (
        f"RUN apt-get update -q {APT} && DEBIAN_FRONTEND=noninteractive apt-get install -qy {APT} "
        f"--no-install-recommends {' '.join(COMPILERS)} && apt-get clean && rm -rf /var/lib/apt/lists/*\n"
    )


def _apt(source: Source, *, buildkit: bool) -> str:
    packages = dict.fromkeys(apt_packages(source))
    if not packages:
        return ""
    place = f"{CACHES}/{source.app_id}/apt"
    mount = f"--mount=type=cache,id=paasd-apt-{source.app_id},target={place},sharing=locked {of_app(source.app_id)}"
    option = f"{APT} -o Dir::Cache={place} " if buildkit else f"{APT} "
    return (
        f"RUN {mount if buildkit else ''}apt-get update -q {option}&& DEBIAN_FRONTEND=noninteractive apt-get install "
        f"-qy {option}--no-install-recommends {' '.join(packages)} && rm -rf /var/lib/apt/lists/*\n"
    )


def apt_packages(source: Source) -> tuple[str, ...]:
    """The system packages that the Aptfile names. Raises BuildFailed for a line that is no package's name."""
    found = []
    for number, raw in enumerate((source.text(APTFILE) or "").splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if not all(PACKAGE.fullmatch(word) for word in line.split()):
            raise BuildFailed(
                f"{APTFILE} line {number} is no package of the stack's: {line[:60]!a}; write names such as libpq-dev, "
                "one a line (files and repositories of others are not fetched: use a Dockerfile for those)."
            )
        found += line.split()
    return tuple(found)


def of_app(app_id: str) -> str:
    """What begins a command that installs: whose it is, for the engine's list of what it keeps; does nothing."""
    return f": {CACHES}/{app_id} && "


def copy(*names: str, flags: str = "") -> str:
    """A COPY line for the files of each folder, into the place that they have in the source.

    The JSON form keeps any name one argument.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    lines = [[*files, f"/app/{folder}/" if folder else "/app/"] for folder, files in folders.items()]
    return "".join(f"COPY {flags}{json.dumps(line)}\n" for line in lines)
