"""Websockets: carried unread both ways, counted as in flight, closed when a side closes or both are silent."""

import asyncio

import aiohttp

from router.frames import SERVICE_RESTART
from tests.router.conftest import Start
from tests.router.process import RouterProcess, Serve, answering, echoing_websockets, read_head, route

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: shop.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
)


def switching(greeting: bytes = b"") -> Serve:
    """Accepts the upgrade, says `greeting` in the same breath, then echoes bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert "Upgrade: websocket" in await read_head(reader)
        writer.write(SWITCH + greeting)
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    return serve


async def test_a_real_websocket_echoes(router: RouterProcess) -> None:
    async with echoing_websockets() as port:
        await router.publish(route("shop", port))
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{router.port}/ws", headers={"Host": "shop.localhost"}) as socket,
        ):
            for size in (1, 1000, 3_000_000):
                await socket.send_bytes(b"x" * size)
                assert len(await socket.receive_bytes()) == size
            await socket.close()
            assert socket.close_code == 1000
    assert await router.log_lines('at=info method=GET path="/ws" .* status=101 bytes=30')


async def test_bytes_sent_before_and_with_the_101_are_not_lost(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(switching(b"hello"))))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK + b"early")
    async with asyncio.timeout(2):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(10) == b"helloearly"
    writer.close()


async def test_a_refused_upgrade_is_an_ordinary_answer(router: RouterProcess, start: Start) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    await router.publish(route("shop", await start(answering(refusal))))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    async with asyncio.timeout(2):
        assert b" 403 " in await reader.readuntil(b"\r\n\r\nno")
    writer.close()


async def test_silence_ends_a_tunnel(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(switching())))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    async with asyncio.timeout(3):
        assert (await reader.read()).startswith(b"HTTP/1.1 101 ")
    writer.close()
    assert await router.log_lines("code=H15 .* status=101 ")


async def test_a_tunnel_counts_as_in_flight_and_outlives_its_route(router: RouterProcess, start: Start) -> None:
    app = await start(switching())
    await router.publish(route("shop", app))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    await reader.readuntil(b"\r\n\r\n")
    await router.publish(route("shop"))
    order = b'{"targets":[{"host":"127.0.0.1","port":%d}],"timeout":%b}'
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    draining = asyncio.create_task(router.control("POST", "/drain", order % (app.port, b"5")))
    writer.close()
    assert (await draining)[1] == {"drained": True, "in_flight": 0}
    lines = await router.log_lines("status=101")
    assert "at=info method=GET" in lines[0]


async def test_backpressure_runs_through_a_tunnel(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(switching())))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    await reader.readuntil(b"\r\n\r\n")
    size = 12_000_000
    writer.write(b"z" * size)  # the echo can't be read before all is written: both directions fill up
    async with asyncio.timeout(5):
        assert len(await reader.readexactly(size)) == size
    writer.close()


async def test_what_an_app_says_with_its_101_and_goes_reaches_the_client(router: RouterProcess, start: Start) -> None:
    """Bites: let `_tunnel` drop what `detach` returned where the app has gone, or `begin` what came early."""
    await router.publish(route("shop", await start(answering(SWITCH + b"bye"))))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    async with asyncio.timeout(2):
        assert (await reader.read()).endswith(b"\r\n\r\nbye")
    writer.close()
    assert await router.log_lines("at=info .* status=101 bytes=3 ")


async def test_a_websocket_is_a_client_connection_and_counted_until_it_ends(
    router: RouterProcess, start: Start
) -> None:
    """Bites: leave `tunnels` out of the figures; or let `ended` not leave the tunnel."""
    app = await start(switching())
    await router.publish(route("shop", app))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    await reader.readuntil(b"\r\n\r\n")
    said = (await router.metrics()).splitlines()
    assert f'paasd_router_in_flight{{target="127.0.0.1:{app.port}"}} 1' in said
    assert int(next(line for line in said if line.startswith("paasd_router_client_connections ")).split()[1]) >= 1
    writer.close()
    assert len(await router.log_lines("at=info .* status=101 ")) == 1
    assert f'target="127.0.0.1:{app.port}"' not in await router.metrics()


async def test_a_drain_s_deadline_ends_the_websockets_of_its_targets_alone(router: RouterProcess, start: Start) -> None:
    """With 1012, as they are between two frames. Bites: without end_tunnels in `drained` it goes on."""
    leaving, staying = await start(switching()), await start(switching())
    await router.publish(route("shop", leaving), route("blog", staying))
    sides = []
    for host in (b"shop", b"blog"):
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(ASK.replace(b"shop", host))
        await reader.readuntil(b"\r\n\r\n")
        sides.append((reader, writer))
    order = b'{"targets":[{"host":"127.0.0.1","port":%d}],"timeout":0.05}' % leaving.port
    _, answer = await router.control("POST", "/drain", order)
    assert answer == {"drained": True, "in_flight": 0}
    async with asyncio.timeout(8):
        assert await sides[0][0].read() == SERVICE_RESTART
        sides[1][1].write(b"still here")
        assert await sides[1][0].readexactly(10) == b"still here"
    for _, writer in sides:
        writer.close()


async def test_websockets_are_drained_by_a_deadline_of_their_own(router: RouterProcess, start: Start) -> None:
    """Bites: with `websockets` left out of what the workers are asked, the first answers with one in flight and the
    second ends a websocket that has time left."""
    early, late = await start(switching()), await start(switching())
    await router.publish(route("shop", early), route("blog", late))
    sides = []
    for host in (b"shop", b"blog"):
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(ASK.replace(b"shop", host))
        await reader.readuntil(b"\r\n\r\n")
        sides.append((reader, writer))
    order = b'{"targets":[{"host":"127.0.0.1","port":%d}],"timeout":%b,"websockets":%b}'
    async with asyncio.timeout(8):
        _, answer = await router.control("POST", "/drain", order % (early.port, b"60", b"0.05"))
        assert answer == {"drained": True, "in_flight": 0}
        assert await sides[0][0].read() == SERVICE_RESTART
    sides[0][1].close()
    draining = asyncio.create_task(router.control("POST", "/drain", order % (late.port, b"0.05", b"60")))
    await asyncio.wait([draining], timeout=0.5)
    assert not draining.done()
    sides[1][1].write(b"still here")
    async with asyncio.timeout(8):
        assert await sides[1][0].readexactly(10) == b"still here"
        sides[1][1].close()
        assert (await draining)[1] == {"drained": True, "in_flight": 0}
