"""The probe, against real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from paasd.adapters.probe import NetworkProbe

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: bytes | None, seen: list[bytes] | None = None) -> AsyncIterator[int]:
    """A server that reads a request and gives `answer`; None: says nothing until the client goes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if seen is not None:
                seen.append(request)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_port_that_accepts_is_healthy() -> None:
    async with serving(None) as port:
        result = await NetworkProbe().check("127.0.0.1", port, None)
    assert (result.healthy, result.detail) == (True, "")


async def test_a_port_nobody_listens_on_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for path in (None, "/"):
            result = await NetworkProbe().check("127.0.0.1", taken.getsockname()[1], path)
            assert (result.healthy, result.detail) == (False, "connection refused")


@pytest.mark.parametrize("status", [200, 204, 301, 399])
async def test_good_answers_are_healthy(status: int) -> None:
    seen: list[bytes] = []
    async with serving(b"HTTP/1.1 %d Fine\r\nContent-Length: 0\r\n\r\n" % status, seen) as port:
        result = await NetworkProbe().check("127.0.0.1", port, "/ok?deep=1")
    assert (result.healthy, result.detail) == (True, "")
    assert seen[0].startswith(b"GET /ok?deep=1 HTTP/1.1\r\nHost: localhost")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", "answered 500"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "answered 404"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "answered 101"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is not HTTP"),
        (b"x" * 200_000, "its answer is not HTTP"),
        (b"", "it closed the connection without an answer"),
    ],
)
async def test_other_answers_are_not_healthy(answer: bytes, detail: str) -> None:
    async with serving(answer) as port:
        result = await NetworkProbe().check("127.0.0.1", port, "/")
    assert (result.healthy, result.detail) == (False, detail)


async def test_a_page_has_to_hold_what_is_looked_for() -> None:
    """Bites: the status alone judged; or a text that only a header holds."""
    page = b"HTTP/1.1 200 OK\r\nX-Says: no hello\r\n\r\n" + b" " * 100_000 + b"hello of \xc3\xa4pp"
    for content, wanted in (("hello of äpp", True), ("no hello", False), ("hello of b", False)):
        async with serving(page) as port:
            result = await NetworkProbe(timeout=1.0).check("127.0.0.1", port, "/", content)
        assert result.healthy is wanted, result
        assert wanted or "its page does not hold" in result.detail


async def test_silence_ends_at_the_deadline() -> None:
    async with serving(None) as port:
        result = await NetworkProbe(timeout=0.1).check("127.0.0.1", port, "/")
    assert (result.healthy, result.detail) == (False, "timed out")


async def test_an_address_that_is_none_is_not_healthy() -> None:
    result = await NetworkProbe().check("256.0.0.1", 80, None)
    assert not result.healthy
    assert result.detail


async def test_any_answer_is_one_and_silence_or_a_closed_connection_is_none() -> None:
    for answer, wanted in ((b"HTTP/1.1 500 Oops\r\n\r\n", True), (b"\x00", True), (b"", False), (None, False)):
        async with serving(answer) as port:
            assert await NetworkProbe(answer=0.2).answers("127.0.0.1", port) is wanted
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await NetworkProbe().answers("127.0.0.1", taken.getsockname()[1]) is False


async def test_a_check_may_be_given_its_own_time() -> None:
    """Bites: the probe's own timeout in the place of what app.json allows a slow page."""
    async with serving(None) as port:
        assert (await NetworkProbe(timeout=30.0).check("127.0.0.1", port, "/", timeout=0.1)).detail == "timed out"

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)  # what is slow here is the page
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(late, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await NetworkProbe(timeout=0.1).check("127.0.0.1", port, "/", timeout=10)).healthy
