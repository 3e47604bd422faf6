"""The engines the contract suite runs over, and what its dynos run. Each comes with a home of its own, cleaned up."""

import asyncio
import functools
import os
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pytest

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.docker_containers import labels
from paasd.adapters.docker_engine import DockerEngine
from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.adapters.process_slugs import MACHINE
from paasd.domain.dyno import DynoKind, DynoSpec, Limits
from paasd.ports import Engine
from tests.conftest import why_no_bubblewrap
from tests.leftovers import remove_labelled

STACK = "paasd/stack:bookworm"
REMOVING = ThreadPoolExecutor(1, "removing")  # ends with the run, once all is done
DEADLINE = 30.0

T = TypeVar("T")

# What the suite's dynos do. A fake knows these commands by heart.
SERVE = "python3 -m http.server $PORT"
SLEEP = "sleep 600"
TELLS = """exec python3 -uc 'import time; print("ready"); time.sleep(600)'"""  # once it can be stopped
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
UNHURRIED = "sh -c 'trap \"sleep 1; exit 7\" TERM; echo ready; while :; do sleep 0.1; done'"  # a shell's child
FAIL = "echo broken >&2; exit 3"
GREET = 'echo "hello $NAME"; echo "port $PORT"'
BINARY = r"printf '\000\377\r\nend without newline'"
MANY = "seq 3000"
COUNT = "for i in 1 2 3; do echo line $i; sleep 0.1; done"


@dataclass(frozen=True, slots=True)
class Bench:
    """An engine under test: what to start on it, and an app with a network."""

    engine: Engine
    artifact: str
    app_id: str
    home: str
    make: Callable[[DynoSpec], Awaitable[None]]  # create a dyno and leave it at that, as a daemon killed in between

    def spec(
        self,
        command: str | None,
        *,
        name: str = "web.1",
        kind: DynoKind = DynoKind.FORMATION,
        port: int | None = None,
        env: dict[str, str] | None = None,
        artifact: str | None = None,
        limits: Limits | None = None,
    ) -> DynoSpec:
        """A dyno of this bench's app."""
        return DynoSpec(
            id=f"t{self.home}.{name}.v4-{uuid.uuid4().hex[:6]}",
            name=name,
            kind=kind,
            app_id=self.app_id,
            app_name="shop",
            release_id="3f0c7a52-5f0d-4d39-9f3c-0d3f7a52aaaa",
            release_version=4,
            artifact=artifact or self.artifact,
            command=command,
            env={"PORT": str(port), **(env or {})} if port is not None else env or {},
            port=port,
            limits=limits or Limits(),
        )


@asynccontextmanager
async def process_bench(*, bwrap: bool = True) -> AsyncIterator[Bench]:
    """An engine of processes with a home of its own, under the daemon's umask; all of it is gone at the end."""
    with daemons_umask(), tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        home, app = await asyncio.to_thread(make_home, name), str(uuid.uuid4())
        settings = ProcessSettings(os.environ["PATH"], bwrap=bwrap)
        async with ProcessEngine(uuid.uuid4().hex[:8], home, settings) as engine:
            await engine.create_network(app)

            async def make(spec: DynoSpec) -> None:
                engine.create(spec)

            try:
                yield Bench(engine, MACHINE, app, "process", make)
            finally:
                await engine.unguard()
                await asyncio.gather(*(engine.stop(dyno.id, grace=0) for dyno in await engine.dynos()))


@asynccontextmanager
async def docker_bench(settings: DockerSettings | None = None, *, network: bool = True) -> AsyncIterator[Bench]:
    """A Docker engine with a home of its own. Whatever carries its label is removed while the next test runs: the
    engine takes a quarter of a second to remove a network. What only builds needs none."""
    require_docker()
    home = f"test{uuid.uuid4().hex[:8]}"
    bench_app = str(uuid.uuid4())
    try:
        async with DockerEngine(home, settings) as engine:
            if network:
                await engine.create_network(bench_app)

            async def make(spec: DynoSpec) -> None:
                await asyncio.to_thread(make_container, spec, home)

            yield Bench(engine, STACK, bench_app, home, make)
    finally:
        REMOVING.submit(remove_labelled, home)


@contextmanager
def daemons_umask() -> Iterator[None]:
    """As `paasd serve` sets it: bites where a folder that apps' users pass through is made without saying its mode."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def make_home(parent: str) -> Path:
    """Its parent may be passed, as apps' users must where there is no bubblewrap."""
    home = Path(parent, "home")
    home.mkdir(mode=0o700)
    home.parent.chmod(0o711)
    return home


def bare_bench() -> AbstractAsyncContextManager[Bench]:
    """An engine of processes that knows no bubblewrap."""
    return process_bench(bwrap=False)


ENGINES: dict[str, Callable[[], AbstractAsyncContextManager[Bench]]] = {
    "docker": docker_bench,
    "process": process_bench,
    "bare": bare_bench,
}


PROCESS = pytest.param("process", marks=pytest.mark.bubblewrap)
BARE = pytest.param("bare", marks=[pytest.mark.slow] if why_no_bubblewrap() is None else [])
"""The same engine without its sandbox: at length where there is one, and in its place where there is none."""


async def eventually(ask: Callable[[], Awaitable[T]], *, deadline: float = 30.0) -> T:
    """What `ask` answers once that is true. Asks every 5 ms; TimeoutError at the deadline, in seconds."""
    async with asyncio.timeout(deadline):
        while not (answer := await ask()):  # noqa: ASYNC110 (engines have no event for what is asked here)
            await asyncio.sleep(0.005)
    return answer


def require_docker() -> None:
    """Skip, saying why, unless an engine answers and has the stack image; fail where PAASD_REQUIRE names docker."""
    problem = docker_problem()
    if problem is None:
        return
    if "docker" in os.environ.get("PAASD_REQUIRE", ""):
        pytest.fail(problem)
    pytest.skip(problem)


@functools.cache
def docker_problem() -> str | None:
    """Why tests can't use Docker here."""
    try:
        found = docker("image", "inspect", "--format", "{{.Id}}", STACK)
    except FileNotFoundError:
        return "the docker command is not installed (make setup)"
    if found.returncode == 0:
        return None
    return f"no Docker Engine answers, or it has no {STACK} (make setup): {found.stderr.strip()[:200]}"


def docker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The docker command."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)


def make_container(spec: DynoSpec, home: str) -> None:
    """A dyno's container, not started."""
    marks = [word for name, value in labels(spec, home).items() for word in ("--label", f"{name}={value}")]
    network = docker("network", "ls", "-q", "--filter", f"label=paasd.home={home}").stdout.split()[0]
    made = docker(
        "create", "--name", spec.id, "--network", network, *marks, spec.artifact, "sh", "-c", str(spec.command)
    )
    assert made.returncode == 0, made.stderr


async def lines_of(bench: Bench, dyno_id: str, since: datetime | None = None) -> list[tuple[datetime, str]]:
    """What a dyno printed, with the times."""
    return [line async for line in bench.engine.logs(dyno_id, since=since)]
