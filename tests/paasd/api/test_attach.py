"""`heroku run` in SSH mode over a real socket, with a real SSH client. (TLS is port.py's.)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import asyncssh
import pytest
from yarl import URL

from paasd.domain.dyno import Exit
from tests.fake_shell import FakeShell
from tests.paasd.api.world import World

Come = Callable[..., Awaitable[asyncssh.SSHClientConnection]]


async def upgraded(world: World, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A connection after its upgrade was asked for, and what was answered to that."""
    url = URL(world.parts.public_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = [f"GET {path} HTTP/1.1", f"Host: {url.authority}", "Connection: Upgrade", "Upgrade: tcp"]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    async with asyncio.timeout(10):
        return reader, writer, await reader.readuntil(b"\r\n\r\n")


class Tunnel:
    """Gives asyncssh a connection that was upgraded, as the CLI gives it to `ssh`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def create_connection(self, factory: Callable[[], Any], *_: object) -> tuple[Any, Any]:
        protocol = factory()
        transport = self.writer.transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if early := bytes(cast(Any, self.reader)._buffer):
            protocol.data_received(early)
        return transport, protocol


@pytest.fixture
async def come(world: World) -> AsyncIterator[Come]:
    """An SSH connection to a command that waited for it."""
    await world.deployed(await world.create())
    open_ones: list[asyncssh.SSHClientConnection] = []

    async def connect(**body: object) -> asyncssh.SSHClientConnection:
        made = await world.call("POST", "/apps/shop/dynos", {"attach": True, "command": "sh", **body})
        reader, writer, head = await upgraded(world, "/attach/" + made.json["attach_url"].rpartition("/")[2])
        assert head.startswith(b"HTTP/1.1 101 ")
        tunnel = cast(Any, Tunnel(reader, writer))
        open_ones.append(await asyncssh.connect("dyno", tunnel=tunnel, known_hosts=None, client_keys=None, config=None))
        return open_ones[-1]

    yield connect
    for connection in open_ones:
        connection.close()


async def shell_of(world: World) -> FakeShell:
    async with asyncio.timeout(10):
        while not world.engine.shells:  # noqa: ASYNC110 (a fake has no event for it)
            await asyncio.sleep(0.01)
    return world.engine.shells[-1]


async def test_bytes_go_both_ways_and_the_end_of_input_and_the_status_arrive(world: World, come: Come) -> None:
    """Bites: leave `encoding=None` out, and the bytes that are no text end the session."""
    connection = await come()
    said = await connection.run(input=b"\x00\xff typed", encoding=None)
    assert (said.stdout, said.exit_status) == (b"\x00\xff typed", 0)
    assert world.engine.shells[-1].heard == b"\x00\xff typed"


async def test_the_status_is_the_session_s_and_told_in_the_output_where_it_was_asked_for(come: Come) -> None:
    asked = 'sh ; echo "\uffff heroku-command-exit-status: $?"'
    said = await (await come(command=asked)).run(input=b"exit 3", encoding=None)
    assert (said.exit_status, said.stdout) == (3, "\uffff heroku-command-exit-status: 3\n".encode())


async def test_a_terminal_has_the_session_s_size_and_follows_it(world: World, come: Come) -> None:
    """Bites: take no notice of TerminalSizeChanged, and the shell is never told."""
    connection = await come()
    process = await connection.create_process(term_type="xterm", term_size=(99, 33), encoding=None)
    shell = await shell_of(world)
    assert world.engine.sizes[-1] == (99, 33)
    process.change_terminal_size(120, 40)
    process.stdin.write(b"x")
    assert await process.stdout.read(1) == b"x"
    assert shell.sizes == [(120, 40)]
    shell.end(Exit(7))
    assert (await process.wait()).exit_status == 7


async def test_who_goes_away_takes_the_process_along(world: World, come: Come) -> None:
    """Bites: do not wait for the session's end, and the process stays until its longest time is over."""
    connection = await come()
    await connection.create_process(encoding=None)
    shell = await shell_of(world)
    connection.abort()
    async with asyncio.timeout(10):
        assert (await shell.wait()).signal == 1


async def test_one_session_and_nothing_forwarded(world: World, come: Come) -> None:
    connection = await come()
    await connection.create_process(encoding=None)
    await shell_of(world)
    assert (await connection.run("id", encoding=None)).exit_status == 1
    assert len(world.engine.shells) == 1
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.open_connection("127.0.0.1", URL(world.parts.public_url).port or 0)
    with pytest.raises(asyncssh.ChannelListenError):
        await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)


async def test_a_secret_opens_once_and_a_wrong_one_never(world: World) -> None:
    await world.deployed(await world.create())
    made = await world.call("POST", "/apps/shop/dynos", {"attach": True, "command": "sh"})
    path = "/attach/" + made.json["attach_url"].rpartition("/")[2]
    plain = await world.call("GET", path)
    assert (plain.status, "Upgrade: tcp" in plain.json["message"]) == (422, True)
    for where, status in ((path, b"101"), (path, b"404"), (f"/attach/{'0' * 32}", b"404")):
        _, writer, head = await upgraded(world, where)
        assert head.startswith(b"HTTP/1.1 " + status)
        writer.close()
        await writer.wait_closed()


def test_clients_are_told_of_it_where_it_is_chosen(world: World) -> None:
    port = URL(world.parts.public_url).port
    links = replace(world.parts.links, ssh=True)
    assert links.attach("a" * 32) == f"https://127.0.0.1:{port}/attach/{'a' * 32}"
