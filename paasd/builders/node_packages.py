"""package.json and the lock beside it: which manager installs, by which commands, and what they read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paasd.builders.source import LOCK_BYTES, Source
from paasd.domain.errors import BuildFailed

LOCKS: Mapping[str, str] = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "yarn.lock": "yarn",
    "pnpm-lock.yaml": "pnpm",
}
CLASSIC_YARN, YARN = "1.22.22", "4.18.1"  # where packageManager does not say it
PNPM: Mapping[str, str] = {"5": "7.33.7", "6": "8.15.9", "9": "10.34.9"}  # by lockfileVersion
SETTINGS = (".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml")
INSTALL_SCRIPTS = ("heroku-prebuild", "preinstall", "install", "postinstall", "prepare")
LINKER = re.compile(r"^nodeLinker:\s*[\"']?(?:node-modules|pnpm)", re.MULTILINE)
VERSION = re.compile(r"\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.]+)?")


@dataclass(frozen=True, slots=True)
class Package:
    """What is used of package.json."""

    scripts: Mapping[str, str]
    engines: Mapping[str, str]
    manager: str  # "pnpm@9.1.0"
    has_dev: bool
    local: bool  # its packages lie in the source itself
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Manager:
    """npm, yarn or pnpm. `tool` is the package that brings it, None where Node has it; `reads` None: all of the source.

    `install` brings everything, `install_pruned` what runs the app alone, and `prune` makes the first the second.
    """

    name: str
    tool: str | None
    reads: tuple[str, ...] | None
    install: str
    install_pruned: str
    prune: str
    lock: str | None


def read_package(source: Source) -> Package | None:
    """None when there is no package.json. Raises BuildFailed when it can't be read."""
    text = source.text("package.json")
    if text is None:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuildFailed(f"package.json is not valid JSON ({error}); mend it or remove it.") from error
    if not isinstance(document, dict):
        raise BuildFailed("package.json can't be read: write an object.")
    dependencies = {**_texts(document, "dependencies"), **_texts(document, "optionalDependencies")}
    every = {**dependencies, **_texts(document, "devDependencies")}
    manager = document.get("packageManager")
    return Package(
        scripts=_texts(document, "scripts"),
        engines=_texts(document, "engines"),
        manager=manager if isinstance(manager, str) else "",
        has_dev=bool(_texts(document, "devDependencies")),
        local="workspaces" in document
        or any(one.startswith(("file:", "link:", "workspace:")) for one in every.values()),
        names=frozenset(every),
    )


def find_manager(source: Source, package: Package) -> Manager:
    """By the lock file. Raises BuildFailed when two of them contradict each other."""
    locks = [lock for lock in LOCKS if source.has(lock)]
    names = sorted({LOCKS[lock] for lock in locks})
    if len(names) > 1:
        raise BuildFailed(
            f"Lock files of {' and '.join(names)} are there ({', '.join(locks)}); keep the one you use, and remove the "
            "others."
        )
    lock = locks[0] if locks else None
    name = names[0] if names else _named(package)
    reads = ("package.json", *([lock] if lock else []), *(one for one in SETTINGS if source.has(one)))
    scripted = any(script in package.scripts for script in INSTALL_SCRIPTS)
    workspaces = "packages:" in (source.text("pnpm-workspace.yaml") or "")
    whole = package.local or scripted or workspaces or (source.root / ".yarn").is_dir()
    return MAKERS[name](source, package, None if whole else reads, lock)


def _npm(_source: Source, _package: Package, reads: tuple[str, ...] | None, lock: str | None) -> Manager:
    command = f"npm {'ci' if lock else 'install'} --no-audit --no-fund"
    return Manager(
        *("npm", None, reads, f"{command} --include=dev", f"{command} --omit=dev"),
        *("npm prune --omit=dev --no-audit --no-fund", lock),
    )


def _yarn(source: Source, package: Package, reads: tuple[str, ...] | None, lock: str | None) -> Manager:
    version = _version(package, "yarn")
    if "__metadata:" in (source.text("yarn.lock", limit=LOCK_BYTES) or "") or version.split(".")[0] not in (
        "",
        "0",
        "1",
    ):
        # Without node_modules the app loads its packages out of yarn's cache: then that is a part of the app.
        own = "" if LINKER.search(source.text(".yarnrc.yml") or "") else "YARN_CACHE_FOLDER=/app/.yarn/cache "
        focus = f"{own}yarn workspaces focus --all --production"
        install = f"{own}yarn install --immutable"
        return Manager("yarn", f"@yarnpkg/cli-dist@{version or YARN}", reads, install, focus, focus, lock)
    command = f"yarn install --non-interactive{' --frozen-lockfile' if lock else ''}"
    return Manager(
        *(
            "yarn",
            f"yarn@{version or CLASSIC_YARN}",
            reads,
            f"{command} --production=false",
            f"{command} --production=true",
        ),
        *(f"{command} --production=true --ignore-scripts --prefer-offline", lock),
    )


def _pnpm(source: Source, package: Package, reads: tuple[str, ...] | None, lock: str | None) -> Manager:
    match = re.search(r"^lockfileVersion: '?(\d+)", source.text("pnpm-lock.yaml", limit=LOCK_BYTES) or "", re.MULTILINE)
    fitting = PNPM.get(match[1] if match else "", PNPM["9"])
    command = f"pnpm install{' --frozen-lockfile' if lock else ''}"
    return Manager(
        *(
            "pnpm",
            f"pnpm@{_version(package, 'pnpm') or fitting}",
            reads,
            f"{command} --prod=false",
            f"{command} --prod",
        ),
        *("CI=true pnpm prune --prod --ignore-scripts", lock),
    )


MAKERS = {"npm": _npm, "yarn": _yarn, "pnpm": _pnpm}


def _named(package: Package) -> str:
    name = package.manager.partition("@")[0]
    return name if name in MAKERS else "npm"


def _version(package: Package, name: str) -> str:
    """What packageManager says, "" for nothing; it goes into a command, so that only a version is taken."""
    wanted, _, version = package.manager.partition("@")
    match = VERSION.match(version)
    return match[0] if wanted == name and match else ""


def _texts(document: Mapping[str, Any], key: str) -> dict[str, str]:
    found = document.get(key)
    return {name: one for name, one in found.items() if isinstance(one, str)} if isinstance(found, dict) else {}


def scripts_of(package: Package, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted scripts that there are."""
    return [name for name in wanted if package.scripts.get(name)]
