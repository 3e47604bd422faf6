"""BuildKit's session against a client of HTTP/2, as the engine is one. Against an engine: test_docker_build.py."""

import asyncio

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, TrailersReceived

from paasd.adapters.docker_session import GET_SECRET, HEALTH, SERVING, SessionProtocol, read_field, write_field


class Wire(asyncio.Transport):
    """What the session sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


def opened(secrets: dict[str, bytes]) -> tuple[Wire, SessionProtocol]:
    taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    wire, session = Wire(), SessionProtocol(secrets, "s1", "/session", taken)
    session.connection_made(wire)
    assert b"X-Docker-Expose-Session-Uuid: s1\r\n" in wire.sent
    wire.sent.clear()
    return wire, session


async def call(path: str, message: bytes) -> tuple[bytes, str]:
    """(what it answers, gRPC's status)."""
    wire, session = opened({"TOKEN": b"x" * 40_000})
    session.data_received(b"HTTP/1.1 101 Switching Protocols\r\n")
    session.data_received(b"Upgrade: h2c\r\n\r\n")
    assert session.taken.done()
    client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    client.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")])
    client.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
    session.data_received(client.data_to_send())
    body, status = bytearray(), ""
    for event in client.receive_data(bytes(wire.sent)):
        if isinstance(event, DataReceived):
            body += event.data
        elif isinstance(event, ResponseReceived | TrailersReceived):
            status = next((str(value) for name, value in event.headers if str(name) == "grpc-status"), status)
    return bytes(body[5:]), status


async def test_the_engine_s_calls_are_answered() -> None:
    assert await call(HEALTH, b"") == (SERVING, "0")
    assert await call(GET_SECRET, write_field(b"TOKEN")) == (write_field(b"x" * 40_000), "0")
    assert await call(GET_SECRET, write_field(b"OTHER")) == (b"", "5")
    assert await call("/strange.Call/Make", b"") == (b"", "12")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_an_engine_that_gives_no_session(answer: bytes) -> None:
    _, session = opened({})
    session.data_received(answer)
    with pytest.raises(ConnectionError, match="no build session"):
        await session.taken
    session.connection_lost(None)


async def test_an_engine_that_hangs_up() -> None:
    _, session = opened({})
    session.connection_lost(None)
    with pytest.raises(ConnectionError, match="hung up"):
        await session.taken


async def test_nonsense_after_the_upgrade_closes_it() -> None:
    wire, session = opened({})
    session.data_received(b"HTTP/1.1 101 x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.closed


@pytest.mark.parametrize("length", [0, 1, 127, 128, 300, 20_000])
def test_fields_of_any_length(length: int) -> None:
    assert read_field(write_field(b"a" * length)) == "a" * length
    assert read_field(b"") == ""
