"""Which headers pass, which are ours, and which heads are refused; each rule seen end to end, through a real router."""

import json

import pytest

from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, answering, echo, route


async def test_the_app_is_told_the_truth(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    got = await router.get(
        "Shop.LOCALHOST:8080", "/a%2Fb//c?x=%zz&y=\"'", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil", "X-Forwarded-Port: 443", "X_Forwarded_Proto: https", "X-Request-Id: short",
        "Via: 1.1 other", "Accept-Encoding: br",
    )  # fmt: skip
    head = json.loads(got.body)["head"]
    lines = head.split("\r\n")
    assert lines[0] == "GET /a%2Fb//c?x=%zz&y=\"'" + " HTTP/1.1"
    for line in ("Host: Shop.LOCALHOST:8080", "X-Forwarded-For: 9.9.9.9, 127.0.0.1", "X-Forwarded-Proto: http",
                 "X-Forwarded-Host: Shop.LOCALHOST:8080", f"X-Forwarded-Port: {router.port}",
                 "Via: 1.1 paasd-router", "Via: 1.1 other", "Accept-Encoding: br"):  # fmt: skip
        assert lines.count(line) == 1, line
    assert "https" not in head and "evil" not in head and "X_Forwarded" not in head and "short" not in head
    assert got.header("via") == "1.1 paasd-router"
    assert [value for name, value in got.headers if name == "set-cookie"] == ["a=1", "b=2"]


async def test_a_good_request_id_is_kept(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    wanted = "0123456789-abcdefghij"
    got = await router.get("shop.localhost", "/", f"X-Request-Id: {wanted}")
    assert f"X-Request-Id: {wanted}\r\n" in json.loads(got.body)["head"]
    assert await router.log_lines(f"request_id={wanted} ")


async def test_hop_by_hop_headers_pass_in_neither_direction(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    data = (
        b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        b"TE: trailers\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nProxy: evil\r\n\r\n"
    )
    head = json.loads(Parsed(await router.raw(data)).body)["head"].lower()
    for name in ("connection:", "x-hop", "keep-alive", "te:", "upgrade", "http2-settings", "proxy:"):
        assert f"\n{name}" not in head
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\r\nok"
    )
    await router.publish(route("shop", await start(answering(answer))))
    got = await router.get("shop.localhost")
    assert got.body == b"ok" and got.header("x-mine") is None and got.header("keep-alive") is None


async def test_an_absolute_target_is_routed_by_its_own_authority(router: RouterProcess, start: Start) -> None:
    await router.publish(route("one", await start(echo("one"))), route("two", await start(echo("two"))))
    request = b"GET http://two.localhost/x?y HTTP/1.1\r\nHost: one.localhost\r\nConnection: close\r\n\r\n"
    answer = json.loads(Parsed(await router.raw(request)).body)
    assert answer["name"] == "two"
    assert answer["head"].startswith("GET /x?y HTTP/1.1\r\nHost: two.localhost\r\n")


@pytest.mark.parametrize(
    ("method", "header", "status"), [("TRACE", "A: b", 405), ("CONNECT", "A: b", 405), ("GET", "Expect: tea", 417)]
)
async def test_what_is_not_done_is_said(router: RouterProcess, method: str, header: str, status: int) -> None:
    await router.publish(route("shop"))
    path = "shop.localhost:80" if method == "CONNECT" else "/"
    assert (await router.get("shop.localhost", path, header, method=method)).status == status
