"""The traps of `heroku run`'s clients, each over a real socket. (TLS and the first byte are port.py's.)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from paasd.api.rendezvous import Rendezvous
from paasd.domain.dyno import Exit
from paasd.services.one_off import OneOffRules
from tests.fake_shell import FakeShell
from tests.paasd.api.world import World

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Meet = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter, FakeShell]]]


@asynccontextmanager
async def door(world: World) -> AsyncIterator[int]:
    meeting = Rendezvous(world.parts.one_offs, world.background)
    server = await asyncio.get_running_loop().create_server(meeting.make, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def meet(world: World) -> AsyncIterator[Meet]:
    """Somebody who has come: its streams after the greeting, and the shell at the other end."""
    await world.deployed(await world.create())
    writers: list[asyncio.StreamWriter] = []
    async with door(world) as port:

        async def begin(
            after: bytes = b"\r\n", **body: object
        ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, FakeShell]:
            wanted = {"attach": True, "command": "sh", "force_no_tty": True, **body}
            made = await world.call("POST", "/apps/shop/dynos", wanted)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(made.json["attach_url"].rpartition("/")[2].encode() + after)
            async with asyncio.timeout(10):
                assert await reader.read(65536) == b"rendezvous\r\n"  # alone, for the client throws this chunk away
                while not world.engine.shells:  # noqa: ASYNC110 (a fake has no event for it)
                    await asyncio.sleep(0.01)
            return reader, writer, world.engine.shells[-1]

        yield begin
        for writer in writers:
            writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read()


@pytest.mark.parametrize("after", [b"\r\n", b"", b"?x=1\r\n", b"\n"])
async def test_what_follows_the_secret_is_not_the_process_s(meet: Meet, after: bytes) -> None:
    reader, writer, shell = await meet(after)
    writer.write(b"hello\n")
    async with asyncio.timeout(10):
        assert await reader.readline() == b"hello\n"
    assert shell.heard == b"hello\n"
    writer.write(b"exit 0")
    assert await rest(reader) == b""


async def test_a_last_control_d_ends_the_input_where_there_is_no_terminal(meet: Meet, world: World) -> None:
    """Bites: pass \\x04 on as it is, and `cat` waits for ever."""
    reader, writer, shell = await meet()
    assert world.engine.sizes == [None]
    writer.write(b"piped\x04")
    assert await rest(reader) == b"piped"
    assert shell.heard == b"piped"


async def test_a_terminal_gets_control_d_itself(meet: Meet, world: World) -> None:
    reader, writer, shell = await meet(force_no_tty=False, env={"COLUMNS": 90, "LINES": 30})
    assert world.engine.sizes == [(90, 30)]
    writer.write(b"\x04")
    async with asyncio.timeout(10):
        assert await reader.read(1) == b"\x04"
    shell.end(Exit(0))
    assert await rest(reader) == b""


async def test_the_exit_status_is_told_whole_and_also_of_what_ends_the_shell(meet: Meet) -> None:
    ask = ' ; echo "\uffff heroku-command-exit-status: $?"'
    reader, writer, _ = await meet(command=f"exit 3{ask}")
    writer.write(b"exit 3")
    assert (await rest(reader)).decode() == "\uffff heroku-command-exit-status: 3\n"


async def test_the_line_stays_open_a_moment_for_the_client_s_end_of_input(meet: Meet) -> None:
    """Bites: close at once, and a client that still writes fails with a broken connection."""
    reader, writer, shell = await meet()
    loop = asyncio.get_running_loop()
    began = loop.time()
    shell.end(Exit(0))
    assert await rest(reader) == b""
    assert loop.time() - began > 0.3
    writer.write(b"\x04")


async def test_a_client_that_goes_ends_its_dyno(meet: Meet, world: World) -> None:
    _, writer, shell = await meet()
    writer.close()
    async with asyncio.timeout(10):
        await shell.wait()
        while any(dyno.type == "run" for dyno in await world.engine.dynos()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_wrong_secret_learns_nothing(world: World) -> None:
    async with door(world) as port:
        for secret in (b"0" * 32, b"zz" * 16, b"short"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(secret + b"\r\n")
            writer.write_eof()
            assert await rest(reader) == b""
            writer.close()


async def test_silence_ends_it(meet: Meet, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.parts.one_offs, "rules", OneOffRules(idle=0.2))
    reader, _, shell = await meet()
    assert await rest(reader) == b""
    assert await shell.wait() == Exit(129, signal=1)


async def test_what_can_not_start_says_why(world: World) -> None:
    await world.deployed(await world.create())
    made = await world.call("POST", "/apps/shop/dynos", {"attach": True, "command": "sh"})
    world.engine.down = True
    async with door(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(made.json["attach_url"].rpartition("/")[2].encode() + b"\r\n")
        said = await rest(reader)
        assert b"The engine does not answer" in said
        writer.close()
