"""Maintenance and pages over the wire; each bad input is a 422 with a sentence, and changes nothing."""

import hashlib
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from tests.paasd.api.world import ACCEPT, TOKEN, Answer, World


async def send_page(world: World, kind: str, body: bytes, method: str = "PUT") -> Answer:
    headers = {"Accept": ACCEPT, "Authorization": f"Bearer {TOKEN}", "Content-Type": "text/html"}
    return await world.ask(method, f"/apps/shop/{kind}-page", data=body, headers=headers)


async def test_on_with_all_there_is_and_off(world: World) -> None:
    await world.create()
    end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wish = {"until": end, "pause": 30, "allow": ["10.0.0.0/8"], "health_path": "/up"}
    on = await world.call("PATCH", "/apps/shop/maintenance", wish)
    assert (on.status, on.json) == (200, {"maintenance": True, **wish, "pages": []})
    assert await world.get("/apps/shop/maintenance") == on.json
    (route,) = world.router.routes
    assert route.hold is not None and (route.hold.pause, route.hold.allow) == (30.0, ("10.0.0.0/8",))
    off = await world.call("PATCH", "/apps/shop/maintenance", {"maintenance": False})
    assert (off.json["maintenance"], off.json["until"], off.json["allow"]) == (False, None, [])
    assert not (await world.get("/apps/shop"))["maintenance"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": "2020-01-01T00:00:00Z"},
        {"until": "soon"},
        {"until": "2030-01-01T00:00:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"until": 5},
        {"pause": 0},
        {"pause": 1000},
        {"pause": "5"},
        {"allow": ["10.0.0.0/99"]},
        {"allow": "10.0.0.0/8"},
        {"health_path": "up"},
        {"maintenance": False, "pause": 5},
        {"maintenance": "perhaps"},
    ],
)
async def test_bad_wishes(world: World, wrong: dict[str, object]) -> None:
    await world.create()
    refused = await world.call("PATCH", "/apps/shop/maintenance", wrong)
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")
    assert not (await world.get("/apps/shop"))["maintenance"]


async def test_a_bypass_link_is_at_the_apps_own_address(world: World) -> None:
    await world.create()
    made = await world.call("POST", "/apps/shop/maintenance/bypass", {"path": "/admin"})
    port = world.parts.router_port
    assert made.json["url"].startswith(f"http://shop.localhost:{port}/.paasd/bypass/")
    assert made.json["url"].endswith("/admin")
    for wrong in ({"seconds": 1e9}, {"path": "x"}, {"path": "/a b"}):
        assert (await world.call("POST", "/apps/shop/maintenance/bypass", wrong)).status == 422


async def test_pages_are_uploaded_and_taken_away(world: World) -> None:
    await world.create()
    body = b"<h1>soon</h1>"
    for kind in ("maintenance", "error"):
        put = await send_page(world, kind, body)
        assert put.status == 200, put.json
        page = next(page for page in put.json["pages"] if page["kind"] == kind)
        assert (page["sha256"], page["size"], page["source"]) == (hashlib.sha256(body).hexdigest(), 13, "upload")
    (route,) = world.router.routes
    assert route.error_page == route.maintenance_page and world.router.kept[route.error_page] == body
    assert (await send_page(world, "error", b"", "DELETE")).json["pages"][0]["kind"] == "maintenance"
    assert world.router.routes[0].error_page == ""


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a\0b", b"x" * (256 * 1024 + 1), b"x" * 900_000])
async def test_bad_pages(world: World, body: bytes) -> None:
    await world.create()
    refused = await send_page(world, "maintenance", body)
    assert (refused.status, refused.json["id"]) == (422, "invalid_params"), refused.json
    assert refused.json["message"].endswith(".")
    assert world.router.kept == {}


async def test_a_private_url_is_refused_before_it_is_released(world: World) -> None:
    app = await world.create()
    for name in ("MAINTENANCE_PAGE_URL", "ERROR_PAGE_URL"):
        refused = await world.call("PATCH", "/apps/shop/config-vars", {name: "http://127.0.0.1/secret"})
        assert refused.status == 422 and refused.json["message"].startswith(f"{name}: 127.0.0.1 is at")
    assert len(await world.store.releases(app.id)) == 1


async def test_nobody_uploads_without_a_token(world: World) -> None:
    await world.create()
    url = f"{world.parts.public_url}/apps/shop/error-page"
    async with aiohttp.ClientSession() as session, session.put(url, data=b"x") as response:
        assert response.status == 401
