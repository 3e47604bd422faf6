"""Port Engine: builds artifacts and runs dynos. Written once for every engine; a contract suite runs over all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from paasd.domain.dyno import Dyno, DynoSpec, Exit
from paasd.domain.slug import SlugRecipe
from paasd.domain.stack import Stacks

Write = Callable[[bytes], Awaitable[None]]
"""Takes a chunk of output. May wait (backpressure); never raises for a reader that went away."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine is and can do. `problems` are sentences for `paasd doctor`, each with its remedy."""

    name: str  # "docker"
    version: str
    api_version: str
    buildkit: bool
    addresses_reachable: bool  # dyno addresses can be reached from this host; else ports are published on loopback
    problems: tuple[str, ...] = ()
    data_root: str | None = None  # where images are kept, if that is on this machine


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """A recipe: a Dockerfile's text, laid over the source; its like for engines without images, None where there is
    none. `timeout` is in seconds. `ours`: the Dockerfile is our builders', whose caches no app's own may mount.
    `trusted`: it is pushed by an admin, who may have the engine itself fetch what it names."""

    app_id: str
    build_id: str
    name: str  # the image's readable tag, "paasd/shop:b-1f00c0de"
    dockerfile: str
    dockerfile_classic: str | None = None  # for engines without BuildKit, where it must differ
    timeout: float = 900.0
    slug: SlugRecipe | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # what steps may mount; in no layer
    ours: bool = False
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something a build made. `name` is the engine's own, immutable one (an image digest)."""

    name: str
    app_id: str
    build_id: str
    size: int
    created_at: datetime
    kind: str = "Image"  # what it is to people: "Image", "Slug"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many lines a dyno has printed since its start, and of these were given by `logs`; final once `ended`."""

    lines: int
    given: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a dyno ("web.1") of an app; `out_of_memory`: the kernel killed a process of it for that."""

    app_id: str
    dyno: str = ""
    out_of_memory: bool = False


class Terminal(Protocol):
    """An attached process: opened before it starts, so that no byte is missed."""

    def output(self) -> AsyncIterator[bytes]:
        """Its stdout and stderr as they come, byte-exact, until it ends."""

    async def wait(self) -> Exit:
        """How it ended. EngineUnavailable if that can't be known."""

    async def close(self) -> None:
        """Stop it if it still runs, and remove it. May be repeated."""


Size = tuple[int, int]
"""A terminal's columns and rows."""


class Shell(Terminal, Protocol):
    """An attached process that is talked to."""

    async def write(self, data: bytes) -> None:
        """To its stdin; waits while it does not read. One that has ended reads nothing."""

    async def end_input(self) -> None:
        """No more will come. May be repeated."""

    async def resize(self, size: Size) -> None:
        """Tell it the terminal's new size; one that has ended, or has no terminal, has none."""


class Engine(Protocol):
    """Builds artifacts and runs dynos. Every method may be repeated after a crash; all raise EngineUnavailable."""

    async def __aenter__(self) -> "Engine": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def info(self) -> EngineInfo:
        """Asks the engine; never from memory."""

    async def stacks(self) -> Stacks:
        """What builds may stand on. Quick: asked for each build."""

    async def guard(self) -> None:
        """Close dynos' and builds' ways to this host's services, where we may. Cheap: called before each start."""

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        """Build `source` (a directory) by `recipe`; the log goes to `output`, line by line.

        Raises BuildFailed with the failing step's words. Cancelling stops the build.
        """

    async def adopt_image(self, image: str, recipe: BuildSpec, output: Write) -> Artifact:
        """An artifact of the recipe's build that is like an image the engine has, by name or id; nothing is pulled.

        NotFound when there is none, or it is another app's. The recipe's Dockerfile does not matter.
        """

    async def artifacts(self) -> Sequence[Artifact]:
        """All artifacts that this home's builds made."""

    async def delete_artifact(self, artifact: str) -> None:
        """Absent: fine. Still used by a dyno: it stays, no error."""

    async def cache_sizes(self) -> Mapping[str, int]:
        """Bytes that builds keep for the next ones, by app id; other homes' apps may be among them.

        `SHARED` of paasd.domain.stack is what all apps share, which can be purged as an app's own.
        """

    async def purge_cache(self, app_id: str) -> int:
        """Remove what builds keep of an app, but what a build uses just now: the bytes that went. None: fine."""

    async def tag(self, artifact: str, name: str) -> None:
        """Another name for an artifact ("paasd/shop:v4"); whatever had that name loses it. Absent: NotFound."""

    async def start(self, spec: DynoSpec) -> Dyno:
        """Start a dyno on its app's network. Already running: returned as it is.

        Raises DynoUnhealthy when the artifact can't be started (gone, no such command).
        """

    async def stop(self, dyno_id: str, *, grace: float = 30.0) -> Exit | None:
        """SIGTERM, `grace` seconds, SIGKILL, then remove; how it ended. None: it was absent, or that is not known."""

    async def wait(self, dyno_id: str) -> Exit:
        """Until it ends. NotFound when there is no such dyno."""

    async def dynos(self, app_id: str | None = None) -> Sequence[Dyno]:
        """All dynos of this home (of one app), not yet removed. Addresses are re-read. STARTING: never started."""

    async def attach(self, spec: DynoSpec) -> Terminal:
        """Create a dyno, attach to it, then start it."""

    async def converse(self, spec: DynoSpec, *, size: Size | None) -> Shell:
        """As attach, with its stdin; on a terminal of `size`, or None: on pipes. Closing the shell ends the dyno."""

    async def exec(self, dyno_id: str, command: str, env: Mapping[str, str], *, size: Size | None) -> Shell:
        """A shell command in a running dyno. NotFound when it does not run. Closing hangs up, the dyno goes on."""

    async def listeners(self, dyno_id: str) -> Sequence[tuple[str, int]]:
        """(address, port) of each TCP socket listening inside a running dyno; empty when that can't be seen."""

    def logs(self, dyno_id: str, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """(time, text) of each line after `since` (None: of the last 1500), then live. Bad bytes are replaced."""

    def tally(self, dyno_id: str) -> Tally | None:
        """What it printed, whether the engine still has it or not; None when that was not counted from its start."""

    def changes(self) -> AsyncIterator[Change]:
        """Each dyno that started, ended, vanished or ran out of memory, as it happens. Ends when the engine does."""

    async def create_network(self, app_id: str) -> None:
        """The app's own network. Already there: fine."""

    async def networks(self) -> Sequence[str]:
        """The app ids of all networks that this home made and that are still there."""

    async def remove_network(self, app_id: str) -> None:
        """Absent: fine."""
