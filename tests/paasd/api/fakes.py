"""The dear ports in memory: an engine without containers, a router without sockets, sources without git."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

from paasd.domain.dyno import Dyno, DynoSpec, DynoState, Exit, LogLine
from paasd.domain.errors import BuildFailed, EngineUnavailable, NotFound, RouterUnavailable
from paasd.domain.release import Commit
from paasd.domain.stack import Stacks
from paasd.ports import (
    Artifact,
    BuildSpec,
    Change,
    EngineInfo,
    ProbeResult,
    RouterHealth,
    Shell,
    Size,
    Tally,
    Terminal,
    Write,
)
from router.table import Route, RoutingTable, Target
from tests.fake_shell import FakeShell


class FakeTerminal:
    """A release command that prints what the test puts into `FakeEngine.printed`; None ends it."""

    def __init__(self, printed: "asyncio.Queue[bytes | None]", code: int) -> None:
        self._printed = printed
        self._code = code

    async def output(self) -> AsyncIterator[bytes]:
        while (chunk := await self._printed.get()) is not None:
            yield chunk

    async def wait(self) -> Exit:
        return Exit(self._code)

    async def close(self) -> None:
        pass


class FakeEngine:
    """Dynos that run because the list says so. `down` makes every call fail."""

    def __init__(self) -> None:
        self.down = False
        self.printed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.release_code = 0
        self.attached = asyncio.Event()
        self.shells: list[FakeShell] = []
        self.sizes: list[Size | None] = []
        self._dynos: dict[str, Dyno] = {}
        self._ended: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> "FakeEngine":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    def _check(self) -> None:
        if self.down:
            raise EngineUnavailable("The engine does not answer; start it, then see `paasd doctor`.")

    async def info(self) -> EngineInfo:
        self._check()
        return EngineInfo("fake", "1", "1.41", buildkit=False, addresses_reachable=True)

    async def stacks(self) -> Stacks:
        self._check()
        return Stacks()

    async def guard(self) -> None:
        self._check()

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        raise NotImplementedError

    async def adopt_image(self, image: str, recipe: BuildSpec, output: Write) -> Artifact:
        if image != "nginx:1":
            raise NotFound("There is no such image on this machine's engine; pull it.", resource="docker_image")
        return Artifact("sha256:" + "1" * 64, recipe.app_id, recipe.build_id, 1000, datetime.now(UTC))

    async def artifacts(self) -> Sequence[Artifact]:
        return []

    async def delete_artifact(self, artifact: str) -> None:
        pass

    async def cache_sizes(self) -> Mapping[str, int]:
        return {}

    async def purge_cache(self, app_id: str) -> int:
        return 0

    async def tag(self, artifact: str, name: str) -> None:
        pass

    async def start(self, spec: DynoSpec) -> Dyno:
        self._check()
        now = datetime.now(UTC)
        self._ended.setdefault(spec.id, asyncio.Event())
        return self._dynos.setdefault(
            spec.id,
            Dyno(
                spec.id, spec.name, spec.kind, spec.app_id, spec.release_id, spec.release_version, DynoState.UP,
                "127.0.0.1", spec.port, spec.command, now, now, size=spec.size,
            ),
        )  # fmt: skip

    async def stop(self, dyno_id: str, *, grace: float = 30.0) -> Exit | None:
        self._check()
        if not self._dynos.pop(dyno_id, None):
            return None
        self._ended[dyno_id].set()
        return Exit(143, signal=15)

    async def wait(self, dyno_id: str) -> Exit:
        if dyno_id not in self._dynos:
            raise NotFound("There is no such dyno; see `heroku ps`.")
        await self._ended[dyno_id].wait()
        return Exit(143, signal=15)

    async def dynos(self, app_id: str | None = None) -> Sequence[Dyno]:
        self._check()
        return [dyno for dyno in self._dynos.values() if app_id in (None, dyno.app_id)]

    async def attach(self, spec: DynoSpec) -> Terminal:
        self._check()
        self.attached.set()
        return FakeTerminal(self.printed, self.release_code)

    async def converse(self, spec: DynoSpec, *, size: Size | None) -> Shell:
        await self.start(spec)
        self.shells.append(FakeShell(closed=lambda: self.stop(spec.id)))
        self.sizes.append(size)
        return self.shells[-1]

    async def exec(self, dyno_id: str, command: str, env: Mapping[str, str], *, size: Size | None) -> Shell:
        self._check()
        self.shells.append(FakeShell(f"{command} {dict(env)}\n".encode()))
        self.sizes.append(size)
        return self.shells[-1]

    async def listeners(self, dyno_id: str) -> Sequence[tuple[str, int]]:
        return []

    def tally(self, dyno_id: str) -> Tally | None:
        return None

    async def logs(self, dyno_id: str, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        yield datetime.now(UTC), "listening"

    async def changes(self) -> AsyncIterator[Change]:
        await asyncio.Event().wait()
        yield Change("")

    async def create_network(self, app_id: str) -> None:
        self._check()

    async def networks(self) -> Sequence[str]:
        return []

    async def remove_network(self, app_id: str) -> None:
        pass


class FakeRouter:
    """Keeps the table. `down` makes every call fail."""

    def __init__(self) -> None:
        self.down = False
        self.routes: tuple[Route, ...] = ()
        self.version = 0
        self.kept: dict[str, bytes] = {}

    def _check(self) -> None:
        if self.down:
            raise RouterUnavailable("The router does not answer; see `paas router status`.")

    async def publish(self, routes: Sequence[Route]) -> int:
        self._check()
        self.version += 1
        self.routes = tuple(routes)
        return self.version

    async def table(self) -> RoutingTable:
        self._check()
        return RoutingTable(self.version, self.routes)

    async def pages(self) -> frozenset[str]:
        self._check()
        return frozenset(self.kept)

    async def put_page(self, sha256: str, body: bytes) -> None:
        self._check()
        self.kept[sha256] = body

    async def drain(self, targets: Sequence[Target], *, timeout: float, websockets: float | None = None) -> bool:
        self._check()
        return True

    async def log_lines(self) -> AsyncIterator[tuple[str, LogLine]]:
        await asyncio.Event().wait()
        yield "", LogLine(datetime.now(UTC), "heroku", "router", "")

    async def ensure(self) -> None:
        self.down = False

    async def health(self) -> RouterHealth:
        self._check()
        return RouterHealth(4711, "127.0.0.1:8080", self.version, "2026-11-23T06:00:00Z")

    async def stop(self) -> None:
        self.down = True

    async def upgrade(self) -> None:
        self.down = False


class FakeSources:
    """Repositories by name only."""

    def __init__(self) -> None:
        self.repositories: set[str] = set()

    async def create(self, app_id: str) -> None:
        self.repositories.add(app_id)

    async def delete(self, app_id: str) -> None:
        self.repositories.discard(app_id)

    async def adopt(self, app_id: str, quarantine: Path, sha: str, build_id: str) -> Commit:
        raise NotImplementedError

    async def adopt_archive(self, app_id: str, archive: Path, build_id: str) -> str:
        raise BuildFailed("The archive can't be kept here; push instead.")

    async def move_branch(self, app_id: str, branch: str, sha: str) -> None:
        pass

    async def size(self, app_id: str) -> int:
        return 4096 if app_id in self.repositories else 0

    async def heads(self, app_id: str) -> Mapping[str, str]:
        return {}

    async def contains(self, app_id: str, sha: str, ancestor: str) -> bool:
        return True

    def unpack(self, app_id: str, sha: str) -> AbstractAsyncContextManager[Path]:
        raise NotImplementedError


class FakeProbe:
    """Every dyno serves."""

    async def check(
        self, address: str, port: int, path: str | None, content: str | None = None, *, timeout: float | None = None
    ) -> ProbeResult:
        return ProbeResult(True)

    async def answers(self, address: str, port: int) -> bool:
        return True
