"""The control API: what is acknowledged is in force and on disk, what is refused changes nothing."""

import asyncio
import json

import pytest

from router.table import RoutingTable, encode
from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, read_head, route


async def test_health_says_who_and_what(router: RouterProcess) -> None:
    await router.publish()
    status, health = await router.control("GET", "/health")
    assert status == 200 and router.process is not None
    assert health["pid"] == router.process.pid
    assert health["table"] == router.version and health["listen"] == f"127.0.0.1:{router.port}"


async def test_the_same_table_again_is_fine_and_an_older_one_is_not(router: RouterProcess) -> None:
    await router.publish(route("shop", 9000))
    same = encode(RoutingTable(router.version, (route("shop", 9000),)))
    assert await router.control("PUT", "/table", same) == (200, {"version": router.version})
    for version in (router.version, router.version - 1):
        status, answer = await router.control("PUT", "/table", encode(RoutingTable(version, (route("shop", 9001),))))
        assert (status, answer["version"]) == (409, router.version)
    assert (await router.control("GET", "/table"))[1] == json.loads(same)


@pytest.mark.parametrize("body", [b"", b"{", b'{"version":1e99}', b'{"version":99999,"routes":[{"app":"x"}]}'])
async def test_a_bad_table_is_refused_with_a_sentence(router: RouterProcess, body: bytes) -> None:
    status, answer = await router.control("PUT", "/table", body)
    assert status == 400 and answer["message"].endswith(".")


async def test_a_bad_drain_order_is_refused(router: RouterProcess) -> None:
    status, answer = await router.control("POST", "/drain", b'{"targets":"all"}')
    assert status == 400 and "drain order" in answer["message"]


async def test_drain_answers_when_the_last_request_ends(router: RouterProcess, start: Start) -> None:
    go, begun = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    app = await start(serve)
    await router.publish(route("shop", app))
    getting = asyncio.create_task(router.get("shop.localhost"))
    await begun.wait()
    await router.publish(route("shop", code="H20"))
    order = f'{{"targets":[{{"host":"127.0.0.1","port":{app.port}}}]}}'.encode()
    draining = asyncio.create_task(router.control("POST", "/drain", order))
    done, _ = await asyncio.wait([draining], timeout=0.05)
    assert not done
    go.set()
    assert (await draining)[1] == {"drained": True, "in_flight": 0}
    assert (await getting).status == 200
    assert (await router.get("shop.localhost")).status == 503


async def test_the_log_can_be_followed(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    await router.get("shop.localhost", "/before")
    reader, writer = await asyncio.open_unix_connection(str(router.directory / "control.sock"))
    writer.write(b"GET /log?since=2000 HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        await reader.readuntil(b'path=\\"/before\\"')
        await router.get("shop.localhost", "/after")
        await reader.readuntil(b'"line":"at=info method=GET path=\\"/after\\" host=shop.localhost')
    writer.close()
