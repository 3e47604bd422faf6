"""https on the router's port: the same requests, uploads and websockets as in plain, over real TLS."""

import asyncio
import io
import json
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest

from paasd.adapters.local_ca import LocalCa
from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, echoing_websockets, route
from tests.router.sealing import authority, certify, context_of

DEADLINE = 15


@pytest.fixture
def ca(tmp_path: Path) -> LocalCa:
    return authority(tmp_path)


async def ask(router: RouterProcess, ca: LocalCa, host: str, *, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A TLS connection to the router, verified as that host's."""

    def connect() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", router.port), timeout=DEADLINE)
        return context_of(ca).wrap_socket(plain, server_hostname=host, session=session)

    return await asyncio.to_thread(connect)


async def test_the_app_is_told_what_the_client_used(router: RouterProcess, ca: LocalCa, start: Start) -> None:
    """On the careful path (the first request) and on the lane. Bites: with a scheme that is always http."""
    await router.publish(route("shop", await start(echo())))
    await certify(router, ca, "shop.localhost")
    url = f"https://shop.localhost:{router.port}/"
    connector = aiohttp.TCPConnector(ssl=context_of(ca), resolver=_Here())
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(3):
            async with session.get(url, headers={"X-Forwarded-Proto": "ftp"}) as answer:
                head = (await answer.json(content_type=None))["head"]
                assert "X-Forwarded-Proto: https\r\n" in head
                assert f"X-Forwarded-Port: {router.port}\r\n" in head
                assert "ftp" not in head
    await router.log_lines("host=shop.localhost .* status=200 .* protocol=https$", 3)
    got = await router.get("shop.localhost")
    assert "X-Forwarded-Proto: http\r\n" in json.loads(got.body)["head"]


async def test_each_name_has_its_own_certificate_and_no_http2(router: RouterProcess, ca: LocalCa) -> None:
    await certify(router, ca, "shop.localhost", "blog.localhost", "localhost")
    for host in ("shop.localhost", "blog.localhost"):
        with await ask(router, ca, host) as connection:
            names = (connection.getpeercert() or {})["subjectAltName"]
            assert (names, connection.selected_alpn_protocol()) == ((("DNS", host),), "http/1.1")
    context = context_of(ca)
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", router.port), timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="strange.localhost") as connection,
    ):
        assert (connection.getpeercert() or {})["subjectAltName"] == (("DNS", "localhost"),)


async def test_a_large_upload_and_a_large_answer(router: RouterProcess, ca: LocalCa, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    await certify(router, ca, "shop.localhost")
    body = b"y" * 5_000_000
    connector = aiohttp.TCPConnector(ssl=context_of(ca), resolver=_Here())
    async with (
        asyncio.timeout(DEADLINE),
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"https://shop.localhost:{router.port}/", data=io.BytesIO(body)) as answer,
    ):
        assert (await answer.json(content_type=None))["body"] == body.decode()


async def test_a_websocket(router: RouterProcess, ca: LocalCa) -> None:
    connector = aiohttp.TCPConnector(ssl=context_of(ca), resolver=_Here())
    async with asyncio.timeout(DEADLINE), echoing_websockets() as port:
        await router.publish(route("shop", port))
        await certify(router, ca, "shop.localhost")
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(f"wss://shop.localhost:{router.port}/ws") as client,
        ):
            for size in (1, 100_000, 3_000_000):
                await client.send_bytes(b"x" * size)
                assert len(await client.receive_bytes()) == size
            await client.close()
            assert client.close_code == 1000


async def test_bad_requests_are_refused_in_tls_too(router: RouterProcess, ca: LocalCa) -> None:
    await certify(router, ca, "shop.localhost")

    def talk(connection: ssl.SSLSocket) -> bytes:
        connection.settimeout(DEADLINE)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))

    with await ask(router, ca, "shop.localhost") as connection:
        assert (await asyncio.to_thread(talk, connection)).startswith(b"HTTP/1.1 400 ")


async def test_noise_after_the_first_byte_ends_that_connection_only(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    got = await router.raw(b"\x16 no TLS follows, though the first byte says so\r\n\r\n")
    assert not got.startswith(b"HTTP/")
    assert (await router.get("shop.localhost")).status == 200


async def test_a_body_that_begins_like_tls_is_a_body(router: RouterProcess, start: Start) -> None:
    """Bites: with the first byte of every piece looked at, the upload is taken for a handshake."""
    await router.publish(route("shop", await start(echo())))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)  # so that it is a piece of its own
    writer.write(b"\x16ab")
    async with asyncio.timeout(DEADLINE):
        answer = await reader.read()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["body"] == "\x16ab"
    writer.close()


class _Here(aiohttp.abc.AbstractResolver):
    """Every name is this machine, whatever its resolver says."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[aiohttp.abc.ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        return
