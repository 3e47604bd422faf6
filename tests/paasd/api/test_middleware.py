"""What every request passes: identity, guards, errors."""

import asyncio
import base64
import contextlib
import dataclasses
import io
import re

import aiohttp
import pytest
import structlog
from aiohttp import web

from paasd.api.middleware import answer_errors, record_access, set_headers
from paasd.api.server import make_api
from paasd.domain.errors import NotFound
from tests.paasd.api.world import ACCEPT, TOKEN, World

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def test_health_needs_no_token(world: World) -> None:
    answer = await world.ask("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "version": "0.1.0"})


@pytest.mark.parametrize("headers", [BEARER, {"Authorization": f"bearer {TOKEN}"}, basic("", TOKEN), basic("x", TOKEN)])
async def test_a_token_as_bearer_or_password(world: World, headers: dict[str, str]) -> None:
    assert (await world.ask("GET", "/account", headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer undefined"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer é"},
        {"Authorization": TOKEN},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic /w=="},
        basic(TOKEN, ""),
        basic("", TOKEN + "x"),
    ],
)
async def test_no_token_or_a_wrong_one(world: World, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/account"), ("POST", "/apps"), ("GET", "/no/such/path"), ("POST", "/health")):
        answer = await world.ask(method, path, headers=headers)
        assert (answer.status, answer.json["id"]) == (401, "unauthorized"), path
        assert "paasd token" in answer.json["message"]


@pytest.mark.row("S02", "no token, wrong ones, guesses; none kept as it is")
async def test_every_route_but_the_public_ones_needs_a_token(world: World) -> None:
    public = {"/health", "/openapi.json", "/schema", "/oauth/token"}  # the last looks at a secret in its body
    seen = 0
    for route in make_api(world.parts).router.routes():
        path = route.resource.canonical if route.resource else ""
        if path in public or path.startswith(("/streams/", "/auth", "/sources/", "/dumps/", "/dashboards/")):
            continue
        answer = await world.ask(route.method, re.sub(r"\{\w+\}", "x", path))
        assert answer.status == 401, f"{route.method} {path}"
        seen += 1
    assert seen > 30


async def test_request_ids(world: World) -> None:
    mine = "0b4f2f1e-1111-4222-8333-444455556666"
    for given, expected in ((mine, mine), (f"{mine},second", mine), (",".join([mine] * 190), mine)):
        answer = await world.call("GET", "/account", Request_Id=given)
        assert answer.header("Request-Id") == expected
    for insane in ("", "a b", "x" * 65, "<script>"):
        fresh = (await world.call("GET", "/account", Request_Id=insane)).header("Request-Id")
        assert re.fullmatch(r"[0-9a-f-]{36}", str(fresh))
    assert (await world.ask("GET", "/nope")).header("Request-Id")


async def test_large_headers_are_read(world: World) -> None:
    assert (await world.call("GET", "/account", Request_Id="x," * 8_100)).status == 200


async def test_unknown_paths_and_methods(world: World) -> None:
    await world.create()
    answer = await world.call("GET", "/no/such/path")
    assert (answer.status, answer.json["id"]) == (404, "not_found")
    answer = await world.call("PUT", "/apps/shop")
    assert (answer.status, answer.json["id"]) == (405, "bad_request")
    assert set(str(answer.header("Allow")).split(", ")) == {"DELETE", "GET", "HEAD", "PATCH"}


@pytest.mark.parametrize(
    "body", [b"{", b"nope", b"[]", b'"x"', b"1", b"null", b"\xff", b"[" * 100_000, b'{"a":NaN}', b"{'name': 1}"]
)
async def test_bodies_that_are_no_json_object(world: World, body: bytes) -> None:
    await world.create()
    headers = {**BEARER, "Content-Type": "application/json"}
    for method, path in (("POST", "/apps"), ("PATCH", "/apps/shop"), ("PATCH", "/apps/shop/config-vars")):
        answer = await world.ask(method, path, data=body, headers=headers)
        assert (answer.status, answer.json["id"]) == (400, "bad_request")
        assert "Traceback" not in answer.json["message"]
    assert len(await world.get("/apps")) == 1


@pytest.mark.parametrize("error", [RuntimeError("no"), NotFound("It is gone."), web.HTTPNotFound()])
async def test_an_answer_that_has_begun_is_cut_and_no_other_stands_in_it(error: Exception) -> None:
    """Bites: answer with the error all the same, and a client reads it as a chunk that is none."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"begun")
        raise error

    application = web.Application(middlewares=[record_access, answer_errors])
    application.on_response_prepare.append(set_headers)
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(1000):
                    data += chunk
        writer.close()
    finally:
        await runner.cleanup()
    assert data.count(b"HTTP/1.1") == 1
    assert not data.endswith(b"0\r\n\r\n"), "it looks whole"


@pytest.mark.row("S03", "web pages of others: foreign Host, Origin and forms")
async def test_forms_are_not_read(world: World) -> None:
    """Bites: the look at content_type left out of requests.py."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await world.ask("POST", "/apps", data=b'{"name": "shop"}', headers={**BEARER, "Content-Type": kind})
        assert (answer.status, answer.json["id"]) == (400, "bad_request")


async def test_a_body_too_large(world: World) -> None:
    headers = {**BEARER, "Content-Type": "application/json"}
    answer = await world.ask("POST", "/apps", data=io.BytesIO(b'{"name": "' + b"x" * 2_000_000), headers=headers)
    assert (answer.status, answer.json["id"]) == (413, "bad_request")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        (ACCEPT, 200),
        ("application/vnd.heroku+json; version=3.sdk", 200),
        ("application/vnd.heroku+json;version=3.docker-releases, */*", 200),
        ("application/vnd.heroku+json", 200),
        ("application/vnd.heroku+json; version=2", 406),
        ("application/vnd.heroku+json; version=33", 406),
        ("application/vnd.heroku+json; version=4, */*", 406),
    ],
)
async def test_versions(world: World, accept: str, status: int) -> None:
    answer = await world.ask("GET", "/account", headers={**BEARER, "Accept": accept})
    assert answer.status == status
    assert status == 200 or answer.json["id"] == "not_acceptable"


@pytest.mark.row("S03", "web pages of others: foreign Host, Origin and forms")
async def test_foreign_hosts_and_origins(world: World) -> None:
    """Bites: either look of `guard`, at the Host or at the Origin, left out."""
    port = world.parts.public_url.rpartition(":")[2]
    for host in ("127.0.0.1", f"localhost:{port}", "[::1]:80", "LOCALHOST:1"):
        assert (await world.ask("GET", "/account", headers={**BEARER, "Host": host})).status == 200
    for host in ("evil.example.org", f"shop.localhost:{port}", "127.0.0.1.nip.io", "127.0.0.1@evil", "[", "10.0.0.1"):
        for path in ("/account", "/health"):
            answer = await world.ask("GET", path, headers={**BEARER, "Host": host})
            assert (answer.status, answer.json["id"]) == (403, "forbidden"), host
    for origin in (world.parts.public_url, f"http://localhost:{port}"):
        assert (await world.ask("GET", "/account", headers={**BEARER, "Origin": origin})).status == 200
    for origin in (
        "null",
        "http://evil.example.org",
        f"http://shop.localhost:{port}",
        "http://127.0.0.1:8080",
        "http://[",
    ):
        answer = await world.ask("POST", "/apps", json={}, headers={**BEARER, "Origin": origin})
        assert (answer.status, answer.json["id"]) == (403, "forbidden"), origin
        assert answer.header("Access-Control-Allow-Origin") is None
    assert await world.get("/apps") == []


async def test_the_public_urls_host_is_ours(world: World) -> None:
    runner = web.AppRunner(make_api(dataclasses.replace(world.parts, public_url="https://paas.test")))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/health"
        async with aiohttp.ClientSession() as session:
            for host, status in (("paas.test", 200), ("127.0.0.1", 200), ("evil.test", 403)):
                async with session.get(url, headers={"Host": host}) as answer:
                    assert answer.status == status, host
            async with session.get(url, headers={"Host": "paas.test", "Origin": "https://paas.test"}) as answer:
                assert answer.status == 200
    finally:
        await runner.cleanup()


async def test_etags(world: World) -> None:
    await world.create()
    first = await world.call("GET", "/apps/shop")
    again = await world.call("GET", "/apps/shop", If_None_Match=str(first.header("ETag")))
    assert (again.status, again.raw, again.header("ETag")) == (304, b"", first.header("ETag"))
    for other in ('"other"', 'W/"other"'):
        assert (await world.call("GET", "/apps/shop", If_None_Match=other)).status == 200
    await world.call("PATCH", "/apps/shop", {"maintenance": True})
    changed = await world.call("GET", "/apps/shop", If_None_Match=str(first.header("ETag")))
    assert changed.status == 200


async def test_what_we_did_not_expect_is_logged_once_and_told_without_a_traceback(world: World) -> None:
    app = await world.create()
    await world.outputs.open(app.id, ("releases", "1"))
    bad = "a" * 200  # no output can be called so: the files refuse it
    with structlog.testing.capture_logs() as logged:
        answer = await world.ask("GET", world.parts.links.output(app.id, "releases", bad))
    assert (answer.status, answer.json["id"]) == (500, "internal_server_error")
    assert b"Error" not in answer.raw
    assert str(answer.header("Request-Id")) in answer.json["message"]
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["request failed"]


async def test_the_access_log_holds_no_secrets(world: World) -> None:
    with structlog.testing.capture_logs() as logged:
        await world.call("GET", "/apps?token=hunter2")
        await world.ask("GET", "/apps%0aforged", headers=BEARER)
    assert [(line["path"], line["status"], line["user"]) for line in logged] == [
        ("/apps", 200, "owner@example.org"),
        ("/apps%0Aforged", 404, "owner@example.org"),
    ]
    assert "hunter2" not in str(logged)
    assert TOKEN not in str(logged)


async def test_raw_requests_that_are_cut_off(world: World) -> None:
    host, _, port = world.parts.public_url.removeprefix("http://").partition(":")
    with structlog.testing.capture_logs() as logged:
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /apps HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 50\r\n\r\n"
        writer.write(head.encode() + b'{"name"')
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await world.get("/apps") == []
    assert not [line for line in logged if line["log_level"] == "error"]


async def test_nothing_may_frame_an_answer_or_be_loaded_by_one(world: World) -> None:
    """Bites: leave `NOTHING` out of set_headers (wapiti: "CSP is not set", "X-Frame-Options is not set")."""
    for path in ("/", "/health", "/account", "/openapi.json"):
        answer = await world.ask("GET", path)
        assert answer.header("Content-Security-Policy") == "default-src 'none'; frame-ancestors 'none'"
        assert (answer.header("X-Frame-Options"), answer.header("X-Content-Type-Options")) == ("DENY", "nosniff")
