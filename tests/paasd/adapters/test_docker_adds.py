"""ADD of what the engine itself would fetch, from this host's own network, is refused."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters import docker_build
from paasd.adapters.docker_adds import refuse_fetches
from paasd.adapters.docker_api import DockerSettings
from paasd.domain.errors import BuildFailed
from tests.contracts.engines import STACK, Bench, docker_bench
from tests.paasd.adapters.test_docker_build import Log, recipe


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM a\nADD http://169.254.169.254/latest /x\n",
        "FROM a\nadd --chown=1 \\\n  # why\n  HTTPS://example.org/x \\\n /x\n",
        'FROM a\nADD ["a", "http://example.org/x", "/x"]\n',
        'FROM a\nADD h"ttp"://example.org/x /x\n',
        "FROM a\nADD h\\ttp://example.org/x /x\n",
        "ARG A=tp\nFROM a\nENV B=ht C=://\nADD $B${A}${C}example.org /x\n",
        "FROM a\nENV U http://example.org/x\nADD ${U} /x\n",
        "FROM a\nARG U=.\nARG U=http://example.org\nADD $U /x\n",
        "FROM a\nONBUILD ADD https://example.org /x\n",
        "FROM a\nADD git@github.com:x/y.git /x\n",
        "FROM a\nADD github.com/x/y.git#v1 /x\n",
    ],
)
def test_a_url_is_refused_however_it_is_written(dockerfile: str) -> None:
    with pytest.raises(BuildFailed, match=r"ADD of a URL is an admin's to push here .*RUN curl -fsSLo FILE URL"):
        refuse_fetches(dockerfile)


@pytest.mark.parametrize("dockerfile", ["FROM a\nADD $U /x\n", "FROM a\nENV U=${X%y}\nADD a-$U /x\n"])
def test_what_only_the_engine_knows_is_refused(dockerfile: str) -> None:
    """A base may set it. Bites: an unknown variable taken as empty."""
    with pytest.raises(BuildFailed, match=r"can't be told before it is built; name the file, or take COPY"):
        refuse_fetches(dockerfile)


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM a\nADD . /app\nADD --chown=app:app a b.tar.gz /x/\n",
        "FROM a\nARG TARGETARCH\nARG J=target/*.jar\nADD ${J} app-$TARGETARCH.tgz /x\n",
        "FROM a\nRUN curl https://example.org/x\nENV U=http://example.org PATH=/x:$PATH Y=${Z%w}\nCOPY . /\n",
    ],
)
def test_files_of_the_repository_are_added(dockerfile: str) -> None:
    refuse_fetches(dockerfile)


@asynccontextmanager
async def of_host() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A service that listens on this host's loopback alone, and what it was asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


@pytest.mark.docker
@pytest.mark.parametrize("buildkit", [True, False])
async def test_no_build_reads_what_only_this_host_may(tmp_path: Path, *, buildkit: bool) -> None:
    """Of its own Dockerfile or by what a base brings. Bites: without `refuse_fetches` in `_build` the log has it."""
    bench: Bench
    async with (
        asyncio.timeout(120),
        of_host() as (port, asked),
        docker_bench(DockerSettings(buildkit=buildkit), network=False) as bench,
    ):
        add = f"ADD http://127.0.0.1:{port}/{uuid.uuid4()} /x\n"
        base = recipe(bench, f"FROM {STACK}\n")
        with pytest.raises(BuildFailed, match="ADD of a URL is an admin's to push here"):
            await bench.engine.build(tmp_path, replace(base, dockerfile=f"FROM {STACK}\nUSER root\n{add}"), Log())
        await bench.engine.build(tmp_path, replace(base, dockerfile=f"FROM {STACK}\nONBUILD {add}", ours=True), Log())
        with pytest.raises(BuildFailed, match="ADD of a URL is an admin's to push here"):
            await bench.engine.build(tmp_path, recipe(bench, f"FROM {base.name}\n"), Log())
        assert asked == []
        await bench.engine.build(tmp_path, replace(recipe(bench, f"FROM {base.name}\n"), trusted=True), Log())
        assert asked != []


@pytest.mark.docker
async def test_what_only_the_engine_finds_to_fetch_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if we had read nothing in it. Bites: without `refuse_fetched` in `_follow` the next step has it."""
    monkeypatch.setattr(docker_build, "refuse_fetches", lambda _dockerfile: None)
    async with (
        asyncio.timeout(120),
        of_host() as (port, _),
        docker_bench(DockerSettings(buildkit=True), network=False) as bench,
    ):
        log, add = Log(), f"ADD http://127.0.0.1:{port}/{uuid.uuid4()} /x\n"
        with pytest.raises(BuildFailed, match="ADD of a URL is an admin's to push here"):
            await bench.engine.build(tmp_path, recipe(bench, f"FROM {STACK}\nUSER root\n{add}RUN cat /x\n"), log)
        assert "secret" not in log.text
