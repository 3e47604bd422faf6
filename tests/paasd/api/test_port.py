"""One port for http, https and what else speaks TLS, over real sockets, with real curl."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from paasd.adapters.local_ca import LocalCa
from paasd.api.port import Port
from paasd.services.background import Background

SECRET = b"0123456789abcdef0123456789abcdef"
DEADLINE = 10


class Rendezvous(asyncio.Protocol):
    """Answers with what it was told first."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"met " + data)
        self.transport.close()


async def say_scheme(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"{(request.secure and 'https') or 'http'} {len(await request.read())}")


@pytest.fixture
def ca(tmp_path: Path) -> LocalCa:
    return LocalCa.open(tmp_path / "ca")


@pytest.fixture
async def port(ca: LocalCa) -> AsyncIterator[Port]:
    background = Background()
    runner = web.ServerRunner(web.Server(say_scheme))
    await runner.setup()
    assert runner.server is not None
    port = Port(runner.server, ca.server_context(), background.spawn, Rendezvous)
    await port.listen("127.0.0.1", 0)
    yield port
    await port.stop()
    await runner.cleanup()
    await background.close()


def number(port: Port) -> int:
    return port.addresses[0][1]


async def curl(*arguments: str, given: bytes | None = None) -> tuple[int | None, str]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", "--max-time", str(DEADLINE), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
    )  # fmt: skip
    output, _ = await process.communicate(given)
    return process.returncode, output.decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_both_are_served_on_one_port(port: Port, ca: LocalCa, host: str, scheme: str) -> None:
    """Bites: with the first byte not looked at, one of the two fails."""
    url = f"{scheme}://{host}:{number(port)}/"
    assert await curl("--ipv4", "--cacert", str(ca.file), url) == (0, f"{scheme} 0")


async def test_whoever_does_not_trust_the_authority_refuses(port: Port) -> None:
    assert (await curl(f"https://127.0.0.1:{number(port)}/"))[0] == 60


async def test_a_large_upload_over_https(port: Port, ca: LocalCa) -> None:
    url = f"https://127.0.0.1:{number(port)}/"
    size = 900_000
    done = await curl("--cacert", str(ca.file), "--data-binary", "@-", url, given=b"x" * size)
    assert done == (0, f"https {size}")


async def test_a_secret_within_tls_is_a_rendezvous(port: Port, ca: LocalCa) -> None:
    context = ssl.create_default_context(cafile=str(ca.file))
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", number(port), ssl=context)
        writer.write(SECRET + b"\r\n")
        assert await reader.read() == b"met " + SECRET + b"\r\n"
        writer.close()
        await writer.wait_closed()


async def test_noise_and_silence_harm_nobody_else(port: Port) -> None:
    async with asyncio.timeout(DEADLINE):
        _, silent = await asyncio.open_connection("127.0.0.1", number(port))
        reader, noisy = await asyncio.open_connection("127.0.0.1", number(port))
        noisy.write(b"\x16 this is no TLS at all, and long enough to be seen as such\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while await reader.readexactly(1):
                pass
        assert await curl(f"http://127.0.0.1:{number(port)}/") == (0, "http 0")
    for each in (silent, noisy):
        each.close()


async def test_stopped_it_lets_the_silent_go_and_frees_its_port(port: Port) -> None:
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", number(port))
        await curl(f"http://127.0.0.1:{number(port)}/")  # accepted after it
        where = number(port)
        await port.stop()
        assert await reader.read() == b""
        writer.close()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", where))


async def test_an_address_in_use_is_an_error(port: Port, ca: LocalCa) -> None:
    async with asyncio.TaskGroup() as group:
        other = Port(Rendezvous, ca.server_context(), lambda _, work: group.create_task(work))
        with pytest.raises(OSError):
            await other.listen("127.0.0.1", number(port))
