"""Maintenance in all its forms, over raw sockets: its end, a pause, who is let in, the health path, bypass links."""

import asyncio
import json
import time

import msgspec
import pytest

from router.table import BYPASS_PATH, Hold, Route, bypass_token
from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, Upstream, echo, route

KEY = "k" * 64


def held(app: Upstream, on: bool = True, health_path: str = "", **hold: object) -> Route:
    whole = route("shop", app, maintenance=on)
    return msgspec.structs.replace(whole, hold=msgspec.convert(hold, Hold), health_path=health_path)


def name_of(got: Parsed) -> str:
    assert got.status == 200
    return str(json.loads(got.body)["name"])


async def test_it_ends_by_the_routers_own_clock(router: RouterProcess, start: Start) -> None:
    """Nobody is at the control socket. Bites when `held` does not look at `until`."""
    app = await start(echo())
    until = time.time() + 1.5
    await router.publish(held(app, until=until))
    got = await router.get("shop.localhost", "/", "Accept: application/json")
    assert got.status == 503 and got.header("retry-after") in ("1", "2")
    assert json.loads(got.body)["retry_after"] in (1, 2)
    await asyncio.sleep(until - time.time() + 0.05)
    assert name_of(await router.get("shop.localhost")) == "app"


async def test_its_end_is_on_the_page_and_counted_down_to(router: RouterProcess, start: Start) -> None:
    await router.publish(held(await start(echo()), until=time.time() + 1500))
    got = await router.get("shop.localhost", "/", "Accept: text/html")
    assert 1490 <= int(got.header("retry-after") or 0) <= 1500
    assert b"UTC, in about 25 minutes" in got.body


async def test_a_pause_keeps_requests_until_it_is_over(router: RouterProcess, start: Start) -> None:
    """Each gets there once, bodies too. Bites when `_admitted` returns the route it began with."""
    app = await start(echo())
    await router.publish(held(app, pause=20.0))
    body = "\r\n".join(["Content-Length: 5", "Content-Type: text/plain", "", "hello"])
    gets = [asyncio.create_task(router.get("shop.localhost", f"/{number}")) for number in range(30)]
    raw = f"POST /post HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n{body}"
    post = asyncio.create_task(router.raw(raw.encode()))
    await asyncio.sleep(0.1)
    await router.publish(held(app, pause=20.0), route("other"))
    done, _ = await asyncio.wait([*gets, post], timeout=0.1)
    assert not done
    await router.publish(route("shop", app))
    assert [name_of(await task) for task in gets] == ["app"] * 30
    assert json.loads(Parsed(await post).body)["body"] == "hello"
    assert len(await router.log_lines(r'at=info .* path="/(\d+|post)" .* status=200 ', 31)) == 31


async def test_a_pause_is_not_endless(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    await router.publish(held(app, pause=0.3))
    began = time.monotonic()
    got = await router.get("shop.localhost", "/", "Accept: application/json")
    assert (got.status, json.loads(got.body)["code"]) == (503, "H80")
    assert time.monotonic() - began >= 0.29


async def test_a_pause_ends_at_its_time(router: RouterProcess, start: Start) -> None:
    """The request goes on then, with no table to wake it."""
    app = await start(echo())
    await router.publish(held(app, pause=20.0, until=time.time() + 0.4))
    assert name_of(await router.get("shop.localhost")) == "app"


async def test_a_pause_outlives_the_worker_that_ends(own_router: RouterProcess, start: Start) -> None:
    """Bites when what is parked is not counted as in flight: the worker that is replaced cuts it off."""
    app = await start(echo())
    await own_router.publish(held(app, pause=20.0))
    waiting = asyncio.create_task(own_router.get("shop.localhost"))
    await asyncio.sleep(0.2)
    assert (await own_router.control("POST", "/upgrade"))[0] == 200
    late = asyncio.create_task(own_router.get("shop.localhost"))
    await asyncio.sleep(0.2)
    assert not waiting.done() and not late.done()
    await own_router.publish(route("shop", app))
    assert name_of(await waiting) == name_of(await late) == "app"


@pytest.mark.parametrize(
    ("networks", "status"), [(["127.0.0.0/8"], 200), (["10.0.0.0/8", "127.0.0.1"], 200), (["10.0.0.0/8", "::1"], 503)]
)
async def test_networks_are_let_in(router: RouterProcess, start: Start, networks: list[str], status: int) -> None:
    await router.publish(held(await start(echo()), allow=networks))
    assert (await router.get("shop.localhost")).status == status
    forged = await router.get("shop.localhost", "/", "X-Forwarded-For: 10.1.2.3")
    assert forged.status == status


async def test_the_health_path_is_answered(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    overridden = msgspec.structs.replace(held(app, health_path="/other"), hold=Hold(health_path="/up"))
    for given in (held(app, health_path="/up"), overridden):
        await router.publish(given)
        got = await router.get("shop.localhost", "/up?deep=1")
        assert (got.status, got.body) == (200, b"ok\n")
        assert (await router.get("shop.localhost", "/up", method="HEAD")).body == b""
        assert (await router.get("shop.localhost", "/up", method="POST")).status == 503
        assert (await router.get("shop.localhost", "/upper")).status == 503
    await router.publish(held(app, on=False, health_path="/up"))
    assert name_of(await router.get("shop.localhost", "/up")) == "app"


async def test_a_bypass_link_lets_its_bearer_in(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    await router.publish(held(app, bypass=KEY))
    token = bypass_token(KEY, "id-shop", int(time.time()) + 600)
    got = await router.get("shop.localhost", f"{BYPASS_PATH}{token}/admin?a=b")
    assert (got.status, got.header("location"), got.body) == (303, "/admin?a=b", b"")
    cookie = got.header("set-cookie") or ""
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Max-Age=" in cookie
    pair = cookie.partition(";")[0]
    inside = await router.get("shop.localhost", "/admin", f"Cookie: a=1; {pair}; b=2")
    assert name_of(inside) == "app"
    head = json.loads(inside.body)["head"]
    assert "paasd_bypass" not in head and "Cookie: a=1; b=2\r\n" in head
    assert "Cookie" not in json.loads((await router.get("shop.localhost", "/", f"Cookie: {pair}")).body)["head"]
    assert (await router.get("shop.localhost", "/admin")).status == 503
    away = await router.get("shop.localhost", f"{BYPASS_PATH}{token}//evil.example/")
    assert away.header("location") == "/evil.example/"
    assert token.partition(".")[2] not in router.log_file.read_text()


async def test_a_link_that_is_over_or_forged_lets_nobody_in(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    await router.publish(held(app, bypass=KEY))
    soon = int(time.time()) + 600
    good = bypass_token(KEY, "id-shop", soon)
    for token in (
        bypass_token(KEY, "id-shop", int(time.time()) - 1),
        bypass_token(KEY, "id-other", soon),
        bypass_token("x" * 64, "id-shop", soon),
        f"{soon + 1}.{good.partition('.')[2]}",
        good[:-1],
        "",
        "nonsense",
        "9" * 5000,
    ):
        assert (await router.get("shop.localhost", f"{BYPASS_PATH}{token}/")).status in (403, 414)
        if len(token) < 1000:
            assert (await router.get("shop.localhost", "/", f"Cookie: paasd_bypass={token}")).status == 503


async def test_without_a_hold_the_path_is_the_apps_own(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    assert name_of(await router.get("shop.localhost", f"{BYPASS_PATH}x/")) == "app"
