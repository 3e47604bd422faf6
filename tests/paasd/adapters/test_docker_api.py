"""Calls to Docker's engine where it is absent, silent, talks nonsense, or went away in the middle."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paasd.adapters.docker_api import ASKING, DockerSettings
from paasd.adapters.docker_engine import DockerEngine
from paasd.domain.errors import EngineUnavailable
from paasd.ports import Change
from tests.contracts.engines import SLEEP, docker_bench

pytestmark = pytest.mark.docker


async def test_an_absent_engine_is_named_and_what_to_do(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    async with DockerEngine("none", DockerSettings(host=f"unix://{socket}")) as engine:
        for ask in (engine.info, engine.dynos, lambda: engine.wait("x"), lambda: engine.create_network("x")):
            with pytest.raises(EngineUnavailable, match=r"docker\.sock; start it, or run `paasd doctor`"):
                await ask()
        with pytest.raises(EngineUnavailable):
            await anext(engine.changes())


async def test_an_engine_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server, DockerEngine("none", DockerSettings(host=f"unix://{path}", call_timeout=1)) as engine:
        with pytest.raises(EngineUnavailable, match="did not answer in time"):
            await engine.info()
        gone.set()


async def test_an_engine_that_answers_nonsense_is_told(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server, DockerEngine("none", DockerSettings(host=f"unix://{path}")) as engine:
        with pytest.raises(EngineUnavailable):
            await engine.info()


async def test_an_engine_over_ssh_is_refused_with_a_reason() -> None:
    async with DockerEngine("none", DockerSettings(host="ssh://me@elsewhere")) as engine:
        with pytest.raises(EngineUnavailable, match="SSH"):
            await engine.info()


class Line:
    """A socket before the engine's own, that can be cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = 0
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        from_engine, to_engine = await asyncio.open_unix_connection("/var/run/docker.sock")
        self._ends += [writer, to_engine]
        await asyncio.gather(pump(reader, to_engine), pump(from_engine, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_an_engine_that_went_away_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    line = Line(tmp_path / "docker.sock")
    await line.open()
    async with docker_bench(DockerSettings(host=f"unix://{line.path}", call_timeout=20)) as bench:
        spec = bench.spec(SLEEP)
        await bench.engine.start(spec)
        changes = bench.engine.changes()
        following = asyncio.create_task(collect(changes))
        waiting = asyncio.create_task(bench.engine.wait(spec.id))
        await bench.engine.start(bench.spec(SLEEP))
        await line.cut()
        with pytest.raises(EngineUnavailable, match="start it, or run `paasd doctor`"):
            await bench.engine.start(bench.spec(SLEEP))
        with pytest.raises(EngineUnavailable):
            await bench.engine.dynos()
        with pytest.raises(EngineUnavailable):
            await waiting
        assert set(await following) <= {Change(bench.app_id, spec.name)}  # it ended, without an error
        await line.open()
        assert len(await bench.engine.dynos()) == 2
        await bench.engine.start(bench.spec(SLEEP))
    await line.cut()


async def collect(items: AsyncIterator[Change]) -> list[Change]:
    return [item async for item in items]


async def test_a_hundred_questions_at_once_are_few_connections(tmp_path: Path) -> None:
    """A round asks of every dyno there is; the streams of dynos' logs take no place from the questions.

    Bites: with `get` on the session of the streams the questions take a hundred; with the streams on that of `get`
    nothing is answered once they are ASKING.
    """
    line = Line(tmp_path / "docker.sock")
    await line.open()
    async with docker_bench(DockerSettings(host=f"unix://{line.path}", call_timeout=20)) as bench:
        spec = bench.spec(SLEEP)
        await bench.engine.start(spec)
        before = line.opened
        waiting = [asyncio.create_task(bench.engine.wait(spec.id)) for _ in range(ASKING + 1)]
        found = await asyncio.gather(*(bench.engine.dynos() for _ in range(100)))
        assert {dyno.id for dynos in found for dyno in dynos} == {spec.id}
        assert line.opened - before <= len(waiting) + ASKING
        await bench.engine.stop(spec.id, grace=0)
        await asyncio.gather(*waiting)
    await line.cut()


AT_ONCE = """
import sys, threading
from paasd.adapters.docker_api import DockerSettings, _find_engine

def found(module):
    while module and not ((there := sys.modules.get(module)) and not there.__spec__._initializing):
        pass
    _find_engine(DockerSettings())

sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=found, args=(module,)) for module in (None, "docker.utils")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import docker
docker.errors
"""


def test_two_engines_are_asked_first_at_the_same_instant() -> None:
    """One comes as the other has imported half of the SDK: an engine and a provider of add-ons, at a daemon's start.

    Bites: the functions that import what each needs: ImportError in both, and no `docker.errors` from then on.
    """
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
