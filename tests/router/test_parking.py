"""Requests for an app that is starting: they wait for its dyno, and are told H20 when none comes."""

import asyncio
import json

from router.table import RouteTimeouts
from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, route


async def test_it_is_served_by_the_dyno_that_comes(router: RouterProcess, start: Start) -> None:
    starting = route("shop", code="H20", timeouts=RouteTimeouts(park=10.0))  # however slow the tables below come
    await router.publish(starting)
    waiting = [asyncio.create_task(router.get("shop.localhost", f"/{number}")) for number in range(5)]
    await router.publish(starting, route("other"))
    assert not any(task.done() for task in waiting)
    await router.publish(route("shop", await start(echo())))
    assert [(await task).status for task in waiting] == [200] * 5
    assert len(await router.log_lines("at=info method=GET .* dyno=web.1 .* status=200 ", 5)) == 5


async def test_time_runs_out(router: RouterProcess) -> None:
    await router.publish(route("shop", code="H20"))
    got = await router.get("shop.localhost", "/", "Accept: application/json")
    assert (got.status, json.loads(got.body)["code"]) == (503, "H20")
    lines = await router.log_lines("at=error code=H20 .* status=503 ")
    assert int(lines[0].partition("service=")[2].partition("ms")[0]) >= 490


async def test_what_it_waits_for_may_not_come(router: RouterProcess) -> None:
    await router.publish(route("shop", code="H20"))
    waiting = asyncio.create_task(router.get("shop.localhost", "/", "Accept: application/json"))
    await asyncio.sleep(0.05)
    await router.publish(route("shop", code="H10"))
    assert json.loads((await waiting).body)["code"] == "H10"


async def test_a_client_that_waits_no_longer_is_let_go(router: RouterProcess) -> None:
    await router.publish(route("shop", code="H20"))
    _, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"GET /gone HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    assert await router.log_lines('code=H27 .* path="/gone" ')
