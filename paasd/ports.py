"""The ports: what the services ask of the world. Each says what it raises and what repeating does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from paasd.domain.access import Account, Token
from paasd.domain.app import App
from paasd.domain.dyno import Dyno, DynoSpec, Exit, Formation, LogLine
from paasd.domain.release import (
    Build,
    BuildStatus,
    Commit,
    NewRelease,
    ProcessTypes,
    Release,
    Stage,
    StageRecord,
    Status,
)
from router.table import Route, RoutingTable, Target

Write = Callable[[bytes], Awaitable[None]]
"""Takes a chunk of output. May wait (backpressure); never raises for a reader that went away."""


# --- Engine -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine is and can do. `problems` are sentences for `paasd doctor`, each with its remedy."""

    name: str  # "docker"
    version: str
    api_version: str
    buildkit: bool
    addresses_reachable: bool  # dyno addresses can be reached from this host; else ports are published on loopback
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """A recipe: a Dockerfile's text, laid over the source. `timeout` is in seconds."""

    app_id: str
    build_id: str
    name: str  # the image's readable tag, "paasd/shop:b-1f00c0de"
    dockerfile: str
    dockerfile_classic: str | None = None  # for engines without BuildKit, where it must differ
    timeout: float = 900.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something a build made. `name` is the engine's own, immutable one (an image digest)."""

    name: str
    app_id: str
    build_id: str
    size: int
    created_at: datetime


class Terminal(Protocol):
    """An attached process: opened before it starts, so that no byte is missed."""

    def output(self) -> AsyncIterator[bytes]:
        """Its stdout and stderr as they come, byte-exact, until it ends."""
        ...

    async def wait(self) -> Exit:
        """How it ended. EngineUnavailable if that can't be known."""
        ...

    async def close(self) -> None:
        """Stop it if it still runs, and remove it. May be repeated."""
        ...


class Engine(Protocol):
    """Builds artifacts and runs dynos. Every method may be repeated after a crash; all raise EngineUnavailable."""

    async def __aenter__(self) -> "Engine": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def info(self) -> EngineInfo:
        """Asks the engine; never from memory."""
        ...

    async def guard(self) -> None:
        """Close dynos' and builds' ways to this host's services, where we may. Cheap: called before each start."""
        ...

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        """Build `source` (a directory) by `recipe`; the log goes to `output`, line by line.

        Raises BuildFailed with the failing step's words. Cancelling stops the build.
        """
        ...

    async def artifacts(self) -> Sequence[Artifact]:
        """All artifacts that this home's builds made."""
        ...

    async def delete_artifact(self, artifact: str) -> None:
        """Absent: fine. Still used by a dyno: it stays, no error."""
        ...

    async def tag(self, artifact: str, name: str) -> None:
        """Another name for an artifact ("paasd/shop:v4"); whatever had that name loses it. Absent: NotFound."""
        ...

    async def start(self, spec: DynoSpec) -> Dyno:
        """Start a dyno on its app's network. Already running: returned as it is.

        Raises DynoUnhealthy when the artifact can't be started (gone, no such command).
        """
        ...

    async def stop(self, dyno_id: str, *, grace: float = 30.0) -> None:
        """SIGTERM, `grace` seconds, SIGKILL, then remove. Absent: fine."""
        ...

    async def wait(self, dyno_id: str) -> Exit:
        """Until it ends. NotFound when there is no such dyno."""
        ...

    async def dynos(self, app_id: str | None = None) -> Sequence[Dyno]:
        """All dynos of this home (of one app), not yet removed. Addresses are re-read. STARTING: never started."""
        ...

    async def attach(self, spec: DynoSpec) -> Terminal:
        """Create a dyno, attach to it, then start it."""
        ...

    async def listeners(self, dyno_id: str) -> Sequence[tuple[str, int]]:
        """(address, port) of each TCP socket listening inside a running dyno; empty when that can't be seen."""
        ...

    def logs(self, dyno_id: str, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """(time, text) of each line after `since` (None: of the last 1500), then live. Bad bytes are replaced."""
        ...

    def changes(self) -> AsyncIterator[str]:
        """The app id of each dyno that started, ended or vanished, as it happens. Ends when the engine goes away."""
        ...

    async def create_network(self, app_id: str) -> None:
        """The app's own network. Already there: fine."""
        ...

    async def remove_network(self, app_id: str) -> None:
        """Absent: fine."""
        ...


# --- Store ------------------------------------------------------------------------------------------------------------


class Store(Protocol):
    """The ledger and what belongs to it. A write has reached the disk when it returns. All raise StoreUnavailable."""

    async def __aenter__(self) -> "Store": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def insert_account(self, account: Account, token: Token) -> None:
        """Conflict when the e-mail is taken."""
        ...

    async def accounts(self) -> Sequence[Account]: ...

    async def account_of_token(self, sha256: str) -> tuple[Account, Token] | None: ...

    async def replace_token(self, token: Token) -> None:
        """Make it the account's only token of that name."""
        ...

    async def insert_app(self, app: App, first: NewRelease) -> Release:
        """The app with its v1, in one transaction. InvalidParams when the name is taken."""
        ...

    async def app(self, name_or_id: str) -> App:
        """NotFound when there is none, or it was destroyed."""
        ...

    async def apps(self) -> Sequence[App]:
        """All that are not destroyed, by name."""
        ...

    async def set_maintenance(self, app_id: str, maintenance: bool) -> App: ...

    async def set_release_timeout(self, app_id: str, seconds: float) -> App: ...

    async def archive_app(self, app_id: str) -> None:
        """Mark it destroyed and free its name; its ledger stays. May be repeated."""
        ...

    async def insert_build(self, build: Build) -> None: ...

    async def finish_build(
        self,
        build_id: str,
        status: BuildStatus,
        *,
        builder: str | None = None,
        stack: str | None = None,
        artifact: str | None = None,
        processes: ProcessTypes | None = None,
        size: int | None = None,
        failure: str | None = None,
    ) -> Build:
        """Compare-and-set from `pending`; the build as it then is, unchanged if it was finished before."""
        ...

    async def build(self, app_id: str, build_id: str) -> Build:
        """NotFound when there is none."""
        ...

    async def builds(self, app_id: str) -> Sequence[Build]:
        """Newest first."""
        ...

    async def pending_builds(self) -> Sequence[Build]:
        """Of all apps."""
        ...

    async def record_release(self, release: NewRelease) -> Release:
        """Append it under the app's next number. ReleaseInProgress when one is pending; NotFound if the app is gone."""
        ...

    async def transition(self, release_id: str, old: Status, new: Status) -> bool:
        """Compare-and-set by TRANSITIONS; False when it was not `old`. Success also sets the app's released_at."""
        ...

    async def release(self, app_id: str, version_or_id: str) -> Release:
        """By "4", "v4" or UUID. NotFound when there is none."""
        ...

    async def releases(
        self, app_id: str, *, newest_first: bool = False, limit: int | None = None, after: int | None = None
    ) -> Sequence[Release]:
        """By version; `after` leaves out all up to (or, newest first, all from) that version."""
        ...

    async def current_release(self, app_id: str) -> Release | None:
        """The highest version that succeeded."""
        ...

    async def newest_config(self, app_id: str) -> Mapping[str, str]:
        """The config of the newest release that has not failed."""
        ...

    async def pending_releases(self, app_id: str | None = None) -> Sequence[Release]: ...

    async def add_stage(self, release_id: str, stage: Stage, detail: str = "") -> None: ...

    async def stages(self, release_id: str) -> Sequence[StageRecord]:
        """In the order they were entered."""
        ...

    async def formation(self, app_id: str) -> Sequence[Formation]: ...

    async def set_formation(self, app_id: str, formation: Sequence[Formation]) -> None:
        """Replace it as a whole."""
        ...


# --- The others -------------------------------------------------------------------------------------------------------


class Router(Protocol):
    """The data plane. All raise RouterUnavailable."""

    async def publish(self, routes: Sequence[Route]) -> int:
        """Put a whole table under the next counter; when this returns every worker has it in force. May be repeated."""
        ...

    async def table(self) -> RoutingTable:
        """The table in force."""
        ...

    async def drain(self, targets: Sequence[Target], *, timeout: float) -> bool:
        """True when the targets have no request in flight, False at the deadline."""
        ...

    def log_lines(self) -> AsyncIterator[tuple[str, LogLine]]:
        """(app id, line) of each request from now on. Ends when the router goes away."""
        ...


@dataclass(frozen=True, slots=True)
class RouterHealth:
    """What the router says of itself. `listen` is "127.0.0.1:8080"; `table` the counter in force."""

    pid: int
    listen: str
    table: int
    started_at: str


class RouterHost(Protocol):
    """The router's process."""

    async def ensure(self) -> None:
        """Running when this returns, with the newest code it was started with. RouterUnavailable saying why not."""
        ...

    async def health(self) -> RouterHealth:
        """RouterUnavailable when it does not answer."""
        ...

    async def stop(self) -> None:
        """Let it finish what is in flight, and end. Not running: fine."""
        ...

    async def upgrade(self) -> None:
        """A fresh process on the same listening socket; the old one finishes what it has in flight."""
        ...


class Sources(Protocol):
    """Where an app's source is kept: its git repository."""

    async def create(self, app_id: str) -> None:
        """An empty repository. Already there: fine."""
        ...

    async def delete(self, app_id: str) -> None:
        """Absent: fine."""
        ...

    async def adopt(self, app_id: str, quarantine: Path, sha: str, build_id: str) -> Commit:
        """Copy a push's objects out of git's quarantine and pin the commit as refs/builds/<build_id>.

        BuildFailed when the commit is not there.
        """
        ...

    async def move_branch(self, app_id: str, branch: str, sha: str) -> None:
        """Point refs/heads/<branch> at a commit the repository has."""
        ...

    async def heads(self, app_id: str) -> Mapping[str, str]:
        """Branch -> commit of every branch. Empty when there is no repository."""
        ...

    def unpack(self, app_id: str, sha: str) -> AbstractAsyncContextManager[Path]:
        """The commit's tree in a directory of its own, removed on leaving. BuildFailed on what may not be."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether a dyno answered, and if not, what happened instead ("connection refused")."""

    healthy: bool
    detail: str = ""


class Probe(Protocol):
    """Asks a dyno whether it serves."""

    async def check(self, address: str, port: int, path: str | None) -> ProbeResult:
        """TCP accept, or HTTP 2xx/3xx at `path`. Never raises for the dyno's faults."""
        ...


class OutputFile(Protocol):
    """One output being kept: appended by one writer, followed by any number of readers."""

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None:
        """The end: readers that follow finish. May be repeated."""
        ...


class Outputs(Protocol):
    """Kept outputs of release phases and builds. A key is ("releases", "<version>") or ("builds", "<id>")."""

    async def open(self, app_id: str, key: tuple[str, str]) -> OutputFile:
        """Begin it, empty; 300 MB at most, what goes beyond is counted and said at the end."""
        ...

    def read(self, app_id: str, key: tuple[str, str], *, offset: int = 0) -> AsyncIterator[bytes]:
        """What is kept from `offset` on, then live until the writer closes. NotFound when there is none."""
        ...

    def exists(self, app_id: str, key: tuple[str, str]) -> bool: ...

    async def delete_app(self, app_id: str) -> None:
        """All outputs of an app. Absent: fine."""
        ...
