"""Slugs: artifacts of the process engine, made of folders that are named after their content.

    ROOT/artifacts/<digest>.json      what a build made: whose, when, which layers, what it adds to the environment
    ROOT/names.json                   readable names -> artifacts
    ROOT/apps/<app id>/layers/<key>   a folder: an app's files, or its dependencies; several artifacts may share one
    ROOT/apps/<app id>/user           its uid and gid, where apps have users of their own

A layer is never changed once it has its name. What no artifact names goes with the last that did.
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paasd.adapters.process_dynos import PASSABLE, new_folder, read_json, write_json
from paasd.adapters.trees import FILE, remove_tree, walk
from paasd.domain.errors import EngineUnavailable, NotFound
from paasd.domain.stack import SHARED
from paasd.ports import Artifact

MACHINE = "paasd/stack:machine"
"""The one image that is not ours: this machine itself, with an empty folder for the app."""

USERS = range(1_000_000, 960_000_000)
USERS_OF_HOME = 50_000
TOO_MANY = (
    f"This home has had {USERS_OF_HOME - 1:,} apps, each with a user of its own, and has no more; begin another home."
)
DIGEST = "sha256:"
GONE = ".gone-"


@dataclass(frozen=True, slots=True)
class Slug:
    """What an artifact consists of. `path` and `env` may hold `{deps}`. `tools` are the keys of the shared ones that it
    was built with, each with its folder that dynos find on the PATH, "" where they don't."""

    app_id: str
    build_id: str
    created_at: str
    size: int
    app: str | None  # its layers' keys
    deps: str | None
    path: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    static: bool = False  # the server of static files is in its dependencies
    tools: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The artifact's."""
        return DIGEST + hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()

    def content(self) -> dict[str, Any]:
        """What its file says, and its name is made of: without tools as it was before there were any."""
        content = asdict(self)
        if not self.tools:
            del content["tools"]
        return content

    def artifact(self) -> Artifact:
        """As the port tells it."""
        created_at = datetime.fromisoformat(self.created_at)
        return Artifact(self.name, self.app_id, self.build_id, self.size, created_at, "Slug")


@dataclass(frozen=True, slots=True)
class Used:
    """What must not go: (app id, key) of layers, keys of shared tools."""

    layers: set[tuple[str, str]] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)


class Slugs:
    """Those of one home. All calls are short, but those that say that they walk folders."""

    def __init__(self, root: Path, home: str, *, users: bool) -> None:
        """`users`: whether each app has one of its own."""
        self._root = root
        self._users = users
        self._first = USERS.start + int(home, 16) % (len(USERS) // USERS_OF_HOME) * USERS_OF_HOME

    @property
    def users(self) -> range:
        """The numbers that this home's apps may get."""
        return range(self._first, self._first + USERS_OF_HOME)

    @property
    def installer(self) -> tuple[int, int] | None:
        """Who installs what all apps share: no app ever gets that number. None: the daemon's own."""
        return (self.users[-1], self.users[-1]) if self._users else None

    def prepare(self) -> None:
        """The folders. What is on its way to somewhere else, its owner or not, may pass but not look."""
        for folder in (self._root, self._root / "artifacts", self._root / "apps"):
            new_folder(folder)
        for left in self._root.glob(f"{SHARED}{GONE}*"):  # by a daemon that was killed
            remove_tree(left)
        self._prepare_shared()

    def _prepare_shared(self) -> None:
        if self.installer is not None:
            new_folder(self.cache(SHARED), 0o700)
            os.chown(self.cache(SHARED), *self.installer)

    # --- artifacts --------------------------------------------------------------------------------------------------

    def keep(self, slug: Slug, name: str) -> Artifact:
        """An artifact from now on, by a readable name too."""
        write_json(self._file(slug.name), slug.content())
        self.tag(slug.name, name)
        return slug.artifact()

    def find(self, name: str) -> Slug | None:
        """By its own name or another that it has."""
        digest = self._names().get(name, name)
        if not digest.startswith(DIGEST) or not digest.removeprefix(DIGEST).isalnum():
            return None
        found = read_json(self._file(digest))
        return None if found is None else Slug(**found)

    def all(self) -> list[Slug]:
        """Of all apps."""
        found = map(read_json, sorted((self._root / "artifacts").glob("[!.]*.json")))
        return [Slug(**content) for content in found if content is not None]

    def tag(self, artifact: str, name: str) -> None:
        """Another name. NotFound when there is no such artifact."""
        if artifact == MACHINE:
            return
        if not self._file(artifact).exists():
            raise NotFound(f"There is no artifact {artifact}; push its commit again.", resource="artifact")
        names = self._names()
        if names.get(name) != artifact:
            write_json(self._root / "names.json", {**names, name: artifact})

    def used(self, *, without: str) -> Used:
        """By all artifacts but one, given by its own name. Reads all of them."""
        others = [slug for slug in self.all() if slug.name != without]
        layers = {(slug.app_id, key) for slug in others for key in (slug.app, slug.deps) if key is not None}
        return Used(layers, {key for slug in others for key in slug.tools})

    def delete(self, slug: Slug, used: Used) -> list[Path]:
        """An artifact, and those of its app's layers that are not `used`: nobody finds them any more. The folders that
        are to be removed by whoever has the time; what a killed daemon left of such is among the next."""
        names = {name: digest for name, digest in self._names().items() if digest != slug.name}
        write_json(self._root / "names.json", names)
        self._file(slug.name).unlink(missing_ok=True)
        layers = self._root / "apps" / slug.app_id / "layers"
        for folder in layers.glob("[!.]*"):
            if (slug.app_id, folder.name) not in used.layers:
                folder.rename(folder.with_name(f"{GONE}{os.urandom(8).hex()}"))
        return sorted(layers.glob(f"{GONE}*"))

    def _file(self, artifact: str) -> Path:
        return self._root / "artifacts" / f"{artifact.removeprefix(DIGEST)}.json"

    def _names(self) -> dict[str, str]:
        return read_json(self._root / "names.json") or {}

    # --- layers -----------------------------------------------------------------------------------------------------

    def layer(self, app_id: str, key: str) -> Path:
        """Where a layer is, or will be."""
        return self._root / "apps" / app_id / "layers" / key

    def cache(self, app_id: str) -> Path:
        """What an app's builds keep for the next: downloads and wheels."""
        return self._root / SHARED if app_id == SHARED else self._root / "apps" / app_id / "cache"

    def cache_sizes(self) -> dict[str, int]:
        """Bytes of each app's cache, and of the shared one, by app id. Walks folders."""
        sizes = {path.parent.name: tree_size(path) for path in (self._root / "apps").glob("*/cache")}
        return {**sizes, SHARED: tree_size(self.cache(SHARED))} if self.installer is not None else sizes

    def purge_cache(self, app_id: str) -> int:
        """Empty an app's cache: the bytes that went. A build under way fetches what it misses; the next one makes its
        layer of dependencies anew. Walks folders."""
        cache = self.cache(app_id)
        before = tree_size(cache)
        for one in cache.glob("*"):
            if one.is_dir() and not one.is_symlink():
                remove_tree(one)
            else:
                one.unlink(missing_ok=True)
        note = cache.parent / "purged"
        if cache.parent.exists():
            note.write_text(os.urandom(8).hex())
        return before - tree_size(cache)

    def purges(self, app_id: str) -> str:
        """Another text after each purge of an app's cache: what is named by it is made anew."""
        note = self._root / "apps" / app_id / "purged"
        return note.read_text() if note.exists() else ""

    def replace_shared(self) -> Path | None:
        """An empty cache in the place of the shared one: that, to be removed by whoever has the time. None: no such."""
        if self.installer is None:
            return None
        aside = self._root / f"{SHARED}{GONE}{os.urandom(8).hex()}"
        self.cache(SHARED).rename(aside)
        self._prepare_shared()
        return aside

    def folder(self, app_id: str) -> Path:
        """An app's folder, with what is always in it."""
        folder = self._root / "apps" / app_id
        for path, mode in ((folder, PASSABLE), (folder / "layers", PASSABLE), (folder / "cache", 0o700)):
            new_folder(path, mode)
        user = self.user(app_id)
        if user is not None:
            os.chown(folder / "cache", *user)
        return folder

    # --- apps -------------------------------------------------------------------------------------------------------

    def user(self, app_id: str) -> tuple[int, int] | None:
        """An app's own uid and gid, the same for ever and never another's; None: the daemon's own."""
        if not self._users:
            return None
        path = self._root / "apps" / app_id / "user"
        found = read_json(path)
        if found is None:
            new_folder(path.parent)
            counter = self._root / "users.json"
            number = int((read_json(counter) or {"next": self._first})["next"])
            if number >= self.users[-1]:
                raise EngineUnavailable(TOO_MANY)
            write_json(counter, {"next": number + 1})
            write_json(path, found := {"uid": number})
        return int(found["uid"]), int(found["uid"])

    def connect(self, app_id: str) -> None:
        """The app is here: see `connected`."""
        (self.folder(app_id) / "network").touch(mode=0o600)

    def connected(self) -> list[str]:
        """The apps that are here."""
        return sorted(path.parent.name for path in (self._root / "apps").glob("*/network"))

    def disconnect(self, app_id: str) -> None:
        """The app goes; what its artifacts need goes with them, its cache now. Walks folders."""
        (self._root / "apps" / app_id / "network").unlink(missing_ok=True)
        remove_tree(self._root / "apps" / app_id / "cache")


def tree_key(folder: Path, *more: str) -> tuple[str, int]:
    """(a digest of all that is in a folder, its bytes). Walks it. BuildFailed where folders nest too deep."""
    digest, size = hashlib.sha256("\0".join(more).encode()), 0
    for here, name, path, found in walk(folder):
        if stat.S_ISDIR(found.st_mode):
            continue
        with suppress(FileNotFoundError):
            digest.update(b"\0%b\0%o\0%d\0" % (os.fsencode(path), found.st_mode, found.st_size))
            if stat.S_ISLNK(found.st_mode):
                digest.update(os.fsencode(os.readlink(name, dir_fd=here)))
            elif stat.S_ISREG(found.st_mode):
                with os.fdopen(os.open(name, FILE, dir_fd=here), "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
                size += found.st_size
    return digest.hexdigest(), size


def tree_size(folder: Path) -> int:
    """Bytes of all files in a folder. Walks it, but for what nests too deep."""
    try:
        return sum(found.st_size for *_, found in walk(folder, whole=False) if stat.S_ISREG(found.st_mode))
    except FileNotFoundError:  # there is none
        return 0


def give(folder: Path, user: tuple[int, int] | None) -> None:
    """A folder and all in it to an app's user. Walks it; through no link, which that user may put there meanwhile."""
    if user is None:
        return
    for here, name, _, _ in walk(folder):
        with suppress(FileNotFoundError):
            os.chown(name, *user, dir_fd=here, follow_symlinks=False)
    os.chown(folder, *user)


def now() -> str:
    """As `Slug.created_at` has it."""
    return datetime.now(UTC).isoformat()
