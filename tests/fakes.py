"""The dear ports in memory. A fake keeps its port's contract: the suites in tests/contracts run over these too."""

import asyncio
import contextlib
import functools
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from paasd.domain.dyno import Dyno, DynoKind, DynoSpec, DynoState, Exit
from paasd.domain.errors import BuildFailed, DynoUnhealthy, EngineUnavailable, NotFound
from paasd.domain.stack import Stacks
from paasd.ports import Artifact, BuildSpec, Change, EngineInfo, ProbeResult, Shell, Size, Tally, Terminal, Write
from tests.fake_commands import ANYWHERE, COMMANDS, SERVES, Behaviour
from tests.fake_shell import FakeShell
from tests.fake_terminal import FakeTerminal
from tests.gates import Gates

LAST_LINES = 1500


@dataclass(slots=True)
class Running:
    """A dyno's inside: what it is, printed, and does."""

    dyno: Dyno
    behaviour: Behaviour
    spec: DynoSpec
    output: list[tuple[datetime, bytes]] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeEngine:
    """Dynos in memory. `down` makes every call fail; `gates` holds calls; `journal` is told what happens, in order."""

    def __init__(self, commands: Mapping[str, Behaviour] = COMMANDS, images: Sequence[str] = ()) -> None:
        self.commands = dict(commands)
        self.down = False
        self.gates = Gates()
        self.journal: list[str] = []
        self.networks_made: set[str] = set()
        self.tags: dict[str, str] = {}  # name -> artifact
        self.caches: dict[str, int] = {}
        self.without_wheel = ""  # a package that has none
        self.compiled: tuple[str, ...] = ()  # what needs a compiler, by a word of its Dockerfile
        self.others: dict[str, str] = {"paasd/stack:bookworm": ""}  # images not of ours, and whose app they are
        self.standing = Stacks()
        self.guarded = 0  # how often the host was guarded
        self.probed: list[str | None] = []  # the path of each probe
        self.timeouts: list[float | None] = []  # that each was given
        self.refusals: list[bool] = []  # whether each of the next probes is refused, whatever the dyno does
        self.leaving: list[Callable[[Dyno], None]] = []  # told of a running dyno about to be stopped
        self.shell = FakeShell()  # the newest
        self.tallies: dict[str, Tally] = {}  # by dyno, when its lines are counted
        self._images = set(images)
        self._artifacts: dict[str, Artifact] = {}
        self._running: dict[str, Running] = {}
        self._listeners: list[asyncio.Queue[Change | None]] = []
        self._addresses = 1
        self._clock = datetime.now(UTC)

    async def __aenter__(self) -> "FakeEngine":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    # --- what a test does to it -------------------------------------------------------------------------------------

    def die(self, dyno_id: str, how: Exit | None = None) -> None:
        """A running dyno ends by itself."""
        self._end(self._running[dyno_id], how or Exit(1))

    def go_away(self) -> None:
        """As when the engine's own daemon is stopped: calls fail, followed streams break."""
        self.down = True
        for queue in self._listeners:
            queue.put_nowait(None)
        for running in self._running.values():
            running.grown.set()
            running.grown = asyncio.Event()

    def run_out_of_memory(self, dyno_id: str) -> None:
        """The kernel kills a child in a dyno, which goes on."""
        dyno = self._running[dyno_id].dyno
        for queue in self._listeners:
            queue.put_nowait(Change(dyno.app_id, dyno.name, out_of_memory=True))

    def restart_dyno(self, dyno_id: str) -> None:
        """As when the machine comes back: same dyno, another address."""
        running = self._running[dyno_id]
        running.dyno = replace(running.dyno, address=self._address())

    def answer(self, address: str, port: int, path: str | None) -> ProbeResult:
        """What a connection to an address in here meets."""
        for running in self._running.values():
            if running.dyno.running and running.dyno.address == address:
                if (ANYWHERE, port) not in self._sockets(running):
                    return ProbeResult(False, "connection refused")
                status = running.behaviour.status
                healthy = path is None or 200 <= status < 400
                return ProbeResult(healthy, "" if healthy else f"answered {status}")
        return ProbeResult(False, "no route to it")

    def make(self, spec: DynoSpec) -> None:
        """As when we were killed between a dyno's creation and its start."""
        now = datetime.now(UTC)
        dyno = Dyno(
            spec.id, spec.name, spec.kind, spec.app_id, spec.release_id, spec.release_version, DynoState.STARTING,
            None, spec.port, spec.command, now, size=spec.size,
        )  # fmt: skip
        self._running[spec.id] = Running(dyno, Behaviour(), spec)

    # --- the port ---------------------------------------------------------------------------------------------------

    async def info(self) -> EngineInfo:
        await self._at("info")
        return EngineInfo("fake", "1", "1.41", buildkit=False, addresses_reachable=True)

    async def stacks(self) -> Stacks:
        return self.standing

    async def guard(self) -> None:
        await self._at("guard")
        self.guarded += 1

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        await self._at("build")
        if self.without_wheel and "--no-build" in recipe.dockerfile:
            words = f"Wheels are required for `{self.without_wheel}` because building from source is disabled"
            await output(f"hint: {words}\n".encode())
            raise BuildFailed("The build failed: no wheel.")
        for word in self.compiled:
            if word in recipe.dockerfile and "gcc" not in recipe.dockerfile:
                await output(b"  Failed to build `psycopg2`\n")
                raise BuildFailed("The build failed: no compiler; add one.")
        for line in recipe.dockerfile.splitlines():
            await output(f"{line}\n".encode())
            if line.startswith("RUN ") and (failing := re.search(r"\bexit ([1-9]\d*)", line)):
                command, code = line.removeprefix("RUN "), int(failing[1])
                raise BuildFailed(f"`{command}` exited with status {code}; see the log above.", exit_code=code)
        size = await asyncio.to_thread(tree_size, source)
        name = f"sha256:{uuid.uuid4().hex * 2}"
        self._artifacts[name] = Artifact(name, recipe.app_id, recipe.build_id, size, datetime.now(UTC))
        return self._artifacts[name]

    async def adopt_image(self, image: str, recipe: BuildSpec, output: Write) -> Artifact:
        await self._at("adopt_image")
        if self.others.get(image, "another") not in ("", recipe.app_id):
            raise NotFound(f"There is no image {image!r} on this machine's engine; pull it.", resource="docker_image")
        name = f"sha256:{uuid.uuid4().hex * 2}"
        self._artifacts[name] = Artifact(name, recipe.app_id, recipe.build_id, 1000, datetime.now(UTC))
        return self._artifacts[name]

    async def artifacts(self) -> Sequence[Artifact]:
        await self._at("artifacts")
        return list(self._artifacts.values())

    async def delete_artifact(self, artifact: str) -> None:
        await self._at("delete_artifact")
        if not any(running.spec.artifact == artifact for running in self._running.values()):
            self._artifacts.pop(artifact, None)
            self.tags = {name: tagged for name, tagged in self.tags.items() if tagged != artifact}

    async def cache_sizes(self) -> Mapping[str, int]:
        await self._at("cache_sizes")
        return dict(self.caches)

    async def purge_cache(self, app_id: str) -> int:
        await self._at("purge_cache")
        return self.caches.pop(app_id, 0)

    async def tag(self, artifact: str, name: str) -> None:
        await self._at("tag")
        if artifact not in self._artifacts and artifact not in self._images:
            raise NotFound(f"There is no artifact {artifact}; push its commit again.", resource="artifact")
        self.tags[name] = artifact

    async def start(self, spec: DynoSpec) -> Dyno:
        await self._at("start")
        dyno = self._start(spec)
        await self._at("started")
        return dyno

    async def stop(self, dyno_id: str, *, grace: float = 30.0) -> Exit | None:
        await self._at("stop")
        running = self._running.get(dyno_id)
        if running is None:
            return None
        if running.dyno.running:
            for hear in self.leaving:
                hear(running.dyno)
            if not running.behaviour.heeds_sigterm:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(running.ended.wait(), grace)
            heeds = running.behaviour.heeds_sigterm
            self._end(running, running.behaviour.ends_with if heeds else Exit(137, signal=9))
        self._remove(running)
        await self.gates.at("stopped")
        return running.dyno.exit

    async def wait(self, dyno_id: str) -> Exit:
        await self._at("wait")
        running = self._find(dyno_id)
        await running.ended.wait()
        self._check()
        assert running.dyno.exit is not None
        return running.dyno.exit

    async def dynos(self, app_id: str | None = None) -> Sequence[Dyno]:
        await self._at("dynos")
        return [running.dyno for running in self._running.values() if app_id in (None, running.dyno.app_id)]

    async def attach(self, spec: DynoSpec) -> Terminal:
        await self._at("attach")
        self._start(spec)
        running = self._running[spec.id]

        async def close() -> None:
            self._end(running, Exit(137, signal=9))
            self._remove(running)

        return FakeTerminal(self.gates, self.chunks(running), functools.partial(self.wait, spec.id), close)

    async def converse(self, spec: DynoSpec, *, size: Size | None) -> Shell:
        await self._at("converse")
        self._start(spec)
        running = self._running[spec.id]

        async def remove() -> None:
            self._end(running, Exit(0))
            self._remove(running)

        self.shell = FakeShell(b"".join(text for _, text in running.output), remove)
        await self.shell.resize(size or (0, 0))
        return self.shell

    async def exec(self, dyno_id: str, command: str, env: Mapping[str, str], *, size: Size | None) -> Shell:
        await self._at("exec")
        if not self._find(dyno_id).dyno.running:
            raise NotFound(f"{dyno_id} does not run.", resource="dyno")
        self.shell = FakeShell(command.encode() + b"\n")
        return self.shell

    async def listeners(self, dyno_id: str) -> Sequence[tuple[str, int]]:
        await self._at("listeners")
        running = self._running.get(dyno_id)
        return self._sockets(running) if running is not None and running.dyno.state is DynoState.UP else []

    def tally(self, dyno_id: str) -> Tally | None:
        return self.tallies.get(dyno_id)

    async def logs(self, dyno_id: str, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        await self._at("logs")
        tail, running = b"", self._find(dyno_id)
        skipped = sum(text.count(b"\n") for _, text in running.output) - LAST_LINES if since is None else 0
        async for at, chunk in self.chunks(running):
            *lines, tail = (tail + chunk).split(b"\n")
            for line in lines:
                skipped -= 1
                if skipped < 0 and (since is None or at > since):
                    yield at, line.rstrip(b"\r").decode(errors="replace")
        if tail and (since is None or at > since):
            yield at, tail.decode(errors="replace")

    def changes(self) -> AsyncIterator[Change]:
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._listeners.append(queue)
        return self._changes(queue)

    async def create_network(self, app_id: str) -> None:
        await self._at("create_network")
        self.networks_made.add(app_id)

    async def networks(self) -> Sequence[str]:
        await self._at("networks")
        return sorted(self.networks_made)

    async def remove_network(self, app_id: str) -> None:
        await self._at("remove_network")
        self.networks_made.discard(app_id)

    # --- inside -----------------------------------------------------------------------------------------------------

    async def chunks(self, running: Running) -> AsyncIterator[tuple[datetime, bytes]]:
        """Its output from the beginning, live until it ends."""
        seen = 0
        while True:
            grown = running.grown
            for entry in running.output[seen:]:
                yield entry
                seen += 1
            self._check()
            if running.ended.is_set() and seen == len(running.output):
                return
            if seen == len(running.output):
                await grown.wait()

    def say(self, dyno_id: str, text: bytes) -> None:
        """A dyno prints something."""
        self._print(self._running[dyno_id], text)

    def _print(self, running: Running, text: bytes) -> None:
        self._clock = max(self._clock + timedelta(microseconds=1), datetime.now(UTC))
        running.output.append((self._clock, text))
        self._wake(running)

    def _wake(self, running: Running) -> None:
        running.grown.set()
        running.grown = asyncio.Event()

    async def _changes(self, queue: "asyncio.Queue[Change | None]") -> AsyncIterator[Change]:
        try:
            await self._at("changes")
            while (change := await queue.get()) is not None:
                yield change
        finally:
            self._listeners.remove(queue)

    async def _at(self, call: str) -> None:
        self._check()
        await asyncio.sleep(0)  # a call always gives others a turn
        await self.gates.at(call)
        self._check()

    def _check(self) -> None:
        if self.down:
            raise EngineUnavailable("The engine does not answer; start it, then see `paasd doctor`.")

    def _find(self, dyno_id: str) -> Running:
        if dyno_id not in self._running:
            raise NotFound(f"There is no dyno {dyno_id}; it has ended and was removed.", resource="dyno")
        return self._running[dyno_id]

    def _address(self) -> str:
        self._addresses += 1
        return f"10.210.{self._addresses // 256}.{self._addresses % 256}"

    def _start(self, spec: DynoSpec) -> Dyno:
        found = self._running.get(spec.id)
        if found is not None and found.dyno.state is DynoState.UP:
            return found.dyno
        behaviour = self.commands.get(spec.command or "", SERVES)
        if spec.artifact not in self._artifacts and spec.artifact not in self._images:
            raise DynoUnhealthy(
                f"{spec.name} can't start: the image of v{spec.release_version} is gone; push its commit again."
            )
        if not behaviour.starts:
            raise DynoUnhealthy(f"{spec.name} can't start: no such command; correct the Dockerfile.")
        self.networks_made.add(spec.app_id)  # one that was removed meanwhile is made again
        now = datetime.now(UTC)
        dyno = Dyno(
            spec.id, spec.name, spec.kind, spec.app_id, spec.release_id, spec.release_version, DynoState.UP,
            self._address(), spec.port, spec.command, found.dyno.created_at if found else now, now,
            size=spec.size,
        )  # fmt: skip
        running = self._running[spec.id] = Running(dyno, behaviour, spec)
        self._tell(running, "start")
        for text in behaviour.prints:
            self._print(running, Template(text.decode("latin-1")).safe_substitute(spec.env).encode("latin-1"))
        if behaviour.ends is not None:
            self._end(running, behaviour.ends)
        return running.dyno if behaviour.ends is None else dyno

    def _sockets(self, running: Running) -> list[tuple[str, int]]:
        port = int(running.spec.env.get("PORT", "0"))
        return [(address, number or port) for address, number in running.behaviour.listens]

    def _end(self, running: Running, how: Exit) -> None:
        if running.dyno.exit is not None:
            return
        well = how.code == 0 and running.dyno.kind is not DynoKind.FORMATION
        state = DynoState.COMPLETE if well else DynoState.CRASHED
        running.dyno = replace(running.dyno, state=state, address=None, exit=how)
        running.ended.set()
        self._wake(running)
        self._tell(running, "end")

    def _remove(self, running: Running) -> None:
        if self._running.get(running.dyno.id) is running:
            del self._running[running.dyno.id]
            self._tell(running, "remove")

    def _tell(self, running: Running, what: str) -> None:
        dyno = running.dyno
        self.journal.append(
            f"{what} {dyno.name if dyno.kind is not DynoKind.RELEASE else 'release'} v{dyno.release_version}"
        )
        for queue in self._listeners:
            queue.put_nowait(Change(dyno.app_id, dyno.name))


def tree_size(directory: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
