"""Talking to real processes, on every engine that has some: bytes both ways, terminals, exit codes, ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from paasd.domain.dyno import DynoKind, Exit
from paasd.domain.errors import NotFound
from paasd.ports import Shell
from tests.contracts.engines import BARE, ENGINES, PROCESS, SLEEP, Bench


@pytest.fixture(params=[PROCESS, BARE, pytest.param("docker", marks=pytest.mark.docker)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with asyncio.timeout(120), ENGINES[request.param]() as opened:
        yield opened


async def all_of(shell: Shell) -> bytes:
    async with asyncio.timeout(30):
        return b"".join([chunk async for chunk in shell.output()])


async def until(shell: Shell, wanted: bytes) -> bytes:
    said = b""
    async with asyncio.timeout(30):
        async for chunk in shell.output():
            said += chunk
            if wanted in said:
                return said
    raise AssertionError(said)


async def test_piped_input_comes_back_byte_for_byte(bench: Bench) -> None:
    data = bytes(range(256)) * 4096  # 1 MiB: more than any buffer between
    shell = await bench.engine.converse(bench.spec("cat", name="run.1", kind=DynoKind.ONE_OFF), size=None)
    reading = asyncio.ensure_future(all_of(shell))
    await shell.write(data)
    await shell.end_input()
    assert await reading == data
    assert await shell.wait() == Exit(0)
    await shell.close()
    await shell.close()
    assert not await bench.engine.dynos()


async def test_a_terminal_has_its_size_and_changes_it(bench: Bench) -> None:
    command = "read x; stty size; read x; stty size; exit 7"
    shell = await bench.engine.converse(bench.spec(command, name="run.1", kind=DynoKind.ONE_OFF), size=(99, 33))
    await shell.write(b"\n")
    assert b"33 99" in await until(shell, b"33 99")
    await shell.resize((120, 40))
    await shell.write(b"\n")
    assert b"40 120" in await all_of(shell)
    assert await shell.wait() == Exit(7)
    await shell.close()


async def test_closing_ends_the_dyno(bench: Bench) -> None:
    shell = await bench.engine.converse(bench.spec(SLEEP, name="run.1", kind=DynoKind.ONE_OFF), size=None)
    await shell.close()
    assert not await bench.engine.dynos()


async def test_inside_a_running_dyno(bench: Bench) -> None:
    spec = bench.spec(SLEEP)
    await bench.engine.start(spec)
    shell = await bench.engine.exec(spec.id, 'echo "$NAME"; cat; exit 5', {"NAME": "Ann"}, size=None)
    await shell.write(b"more\n")
    await shell.end_input()
    assert await all_of(shell) == b"Ann\nmore\n"
    assert await shell.wait() == Exit(5)
    await shell.close()
    hung = await bench.engine.exec(spec.id, "echo begun; exec sleep 600", {}, size=(80, 24))
    await until(hung, b"begun")
    await hung.close()
    async with asyncio.timeout(10):
        assert (await hung.wait()).code != 0
    assert [dyno.id for dyno in await bench.engine.dynos() if dyno.running] == [spec.id]
    with pytest.raises(NotFound):
        await bench.engine.exec(f"{spec.id}-no", "ls", {}, size=None)
