"""Dynos: what should run (Formation, DynoSpec), what runs (Dyno), and what it says (LogLine)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from paasd.domain.errors import InvalidParams

DEFAULT_SIZE = "Standard-1X"
WAITS = "trap 'exit $?' TERM;"


class DynoState(StrEnum):
    """State of a dyno in Heroku's words."""

    STARTING = "starting"
    UP = "up"
    CRASHED = "crashed"
    DOWN = "down"
    COMPLETE = "complete"


class DynoKind(StrEnum):
    """Why a dyno exists. Only FORMATION dynos are swapped and reconciled; the others end by themselves."""

    FORMATION = "formation"
    RELEASE = "release"
    ONE_OFF = "one-off"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one dyno: bytes of memory, CPUs (None: no bound), processes, open files."""

    memory: int = 512 * 1024 * 1024
    cpus: float | None = None
    pids: int = 256
    open_files: int = 16384


@dataclass(frozen=True, slots=True)
class Formation:
    """How many dynos of a process type an app wants."""

    type: str
    quantity: int
    size: str = DEFAULT_SIZE


def sizes_of(formation: Iterable[Formation]) -> dict[str, str]:
    """Process type -> size."""
    return {entry.type: entry.size for entry in formation}


def check_size(asked: str, known: Collection[str]) -> str:
    """The size's name as it is written here: "Standard-2X" for "standard-2x". Raises InvalidParams."""
    for name in known:
        if name.lower() == asked.lower():
            return name
    raise InvalidParams(
        f"There is no size {asked[:64]!a}; there are {', '.join(known)} (see `sizes` in paasd.yaml).", resource="size"
    )


@dataclass(frozen=True, slots=True)
class DynoSpec:
    """A dyno to be started. Starting the same `id` twice is the same dyno.

    `id` is unique over all time ("shop.web.1.v4-3fa9c1"); `name` is Heroku's ("web.1").
    A command of None runs the artifact's own. `port` is where it must accept, None for types that serve nothing.
    """

    id: str
    name: str
    kind: DynoKind
    app_id: str
    app_name: str
    release_id: str
    release_version: int
    artifact: str
    command: str | None
    env: Mapping[str, str] = field(repr=False)
    port: int | None = None
    limits: Limits = field(default_factory=Limits)
    size: str = DEFAULT_SIZE

    @property
    def type(self) -> str:
        """The process type: what stands before the dot of the name."""
        return self.name.partition(".")[0]


def in_shell(command: str) -> str:
    """The command as a shell is given it.

    SIGTERM comes to the shell too: it would end at once, its dyno with it, and what it runs would lose its 30 seconds.
    So it ends when that does, with its status.
    """
    return f"{WAITS} {command}"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a dyno ended, and when if the engine tells: two that ended alike are equal.

    `signal` is set when it was killed by one, `oom` when by the kernel for memory.
    """

    code: int
    signal: int | None = None
    oom: bool = False
    at: datetime | None = field(default=None, compare=False)

    def describe(self) -> str:
        """The sentence part that says how it ended: "exited with status 1"."""
        if self.oom:
            return "was killed for using more memory than its limit (R15)"
        if self.signal is not None:
            return f"was killed by signal {self.signal}"
        return f"exited with status {self.code}"


@dataclass(frozen=True, slots=True)
class Dyno:
    """A dyno the engine knows.

    `address` is re-read at every start and None unless it runs; `exit` is set once it ended. `told` is the $PORT that
    the engine gave it in the place of its spec's, where dynos share one network.
    """

    id: str
    name: str
    kind: DynoKind
    app_id: str
    release_id: str
    release_version: int
    state: DynoState
    address: str | None
    port: int | None
    command: str | None
    created_at: datetime
    started_at: datetime | None = None
    exit: Exit | None = None
    size: str = DEFAULT_SIZE
    told: int | None = None

    @property
    def type(self) -> str:
        """The process type: what stands before the dot of the name."""
        return self.name.partition(".")[0]

    @property
    def running(self) -> bool:
        """Whether it has a living process."""
        return self.state in (DynoState.STARTING, DynoState.UP)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log. `source` is "app" or "heroku"; `process` is "web.1", "router", "api", "release.4821".

    `release` is the version it belongs to, None where there is none; `dyno` the id of the dyno that printed it, or "".
    """

    at: datetime
    source: str
    process: str
    text: str
    release: int | None = None
    dyno: str = ""

    def render(self) -> str:
        """The line as Heroku prints it: `2026-11-23T06:00:00.000000+00:00 app[web.1]: text`."""
        stamp = self.at.isoformat(timespec="microseconds")
        return f"{stamp} {self.source}[{self.process}]: {self.text}"
