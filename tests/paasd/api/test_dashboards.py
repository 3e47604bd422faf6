"""Add-ons' pages: who sees what of them, for how long, and the way on to a partner's own."""

import asyncio
import http.cookiejar
import re
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from paasd.api.capability import HOUR, mint
from paasd.api.dashboard_page import SUBMIT
from paasd.api.links import dashboard_path
from paasd.domain.errors import Unavailable
from tests.keeper import SALT, Keeper
from tests.paasd.api.test_addons import created
from tests.paasd.api.test_partners import created as created_at_partner
from tests.paasd.api.test_partners import register
from tests.paasd.api.world import World


class Form(HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given["action"] or ""
        if tag == "input":
            self.fields[given["name"] or ""] = given["value"] or ""


async def opened(world: World, url: str) -> tuple[int, str, Any]:
    """(status, text, headers), as a browser that has no token."""
    answer = await world.ask("GET", url.removeprefix(world.parts.public_url))
    return answer.status, answer.raw.decode(), answer.headers


async def test_our_own_page(world: World) -> None:
    """Bites when `_show` does not ask the capability: any address opens it."""
    await world.create()
    addon = await created(world, name="orders")
    found = await world.get("/apps/shop/addon-attachments")
    url = (await world.get(f"/addons/{addon['id']}"))["web_url"]
    assert found[0]["web_url"].partition("?")[0] == url.partition("?")[0]
    status, text, headers = await opened(world, url)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for said in ("orders", "heroku-postgresql:essential-0", "shop::DATABASE", "DATABASE_URL", "paas pg:psql orders"):
        assert said in text, said
    secret = (await world.store.addon(addon["id"])).secret
    assert secret not in text and "postgres://" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "origin")
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"(?:src|href)=|url\(|@import|<script", text) == []

    path, _, signature = url.removeprefix(world.parts.public_url).partition("?cap=")
    other = await created(world)
    for wrong in (path, f"{path}?cap=", f"{path}?cap={'0' * 64}", f"/dashboards/{other['id']}/x?cap={signature}"):
        status, text, _ = await opened(world, wrong)
        assert (status, "run addons:open again" in text) == (404, True), wrong
    old = mint(b"s" * 32, path, time.time() - 3 * HOUR)
    assert (await opened(world, f"{path}?cap={old}"))[0] == 404


async def test_how_it_is_stands_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.create()
    addon = await created(world)
    url = (await world.get(f"/addons/{addon['id']}"))["web_url"]
    provider = world.parts.addons.work.providers["fake"]

    async def away(_: object) -> None:
        raise Unavailable("The <server> does not answer.")

    monkeypatch.setattr(provider, "condition", away)
    status, text, _ = await opened(world, url)
    assert (status, "The &lt;server&gt; does not answer." in text, 'class="state down"' in text) == (200, True, True)
    await world.call("DELETE", f"/apps/shop/addons/{addon['id']}")
    await world.parts.addons.wait(await world.store.addon(addon["id"]))
    assert "deprovisioned" in (await opened(world, url))[1]


async def test_who_is_let_in_no_more_sees_nothing(world: World) -> None:
    """A page's address is one account's, and that has to be let in still."""
    await world.create()
    addon = await created(world)
    guest = await world.parts.access.create_account("guest@example.org", None, None)
    await world.call("POST", "/apps/shop/collaborators", {"user": "guest@example.org", "permissions": ["view"]})
    url = world.parts.links.dashboard(addon["id"], guest.id)
    assert (await opened(world, url))[0] == 200
    await world.call("DELETE", "/apps/shop/collaborators/guest@example.org")
    assert (await opened(world, url))[0] == 404


@pytest.fixture
async def keeper(tmp_path: Path, world: World) -> AsyncIterator[Keeper]:
    one = Keeper(tmp_path)
    register(world, one)
    await asyncio.to_thread(one.start)
    yield one
    one.kill()


def post(action: str, fields: dict[str, str]) -> tuple[int, str]:
    """(status, text) of what a browser gets to see."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(jar)
    try:
        with opener.open(action, urllib.parse.urlencode(fields).encode(), timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_single_sign_on_at_a_partner(world: World, keeper: Keeper) -> None:
    """Bites when `sso_fields` signs with anything but the manifest's salt: the partner turns the browser away."""
    await world.create()
    addon = await created_at_partner(world)
    status, text, headers = await opened(world, addon["web_url"])
    assert status == 200
    form = Form(text)
    assert form.action == f"{keeper.url}/sso"
    assert (form.fields["email"], form.fields["user_id"]) == (world.owner.email, world.owner.id)
    assert f"<script>{SUBMIT}</script>" in text and "script-src 'sha256-" in headers["Content-Security-Policy"]
    assert SALT not in text
    status, shown = await asyncio.to_thread(post, form.action, form.fields)
    assert (status, addon["name"] in shown) == (200, True), shown
    forged = {**form.fields, "resource_token": "0" * 40}
    assert (await asyncio.to_thread(post, form.action, forged))[0] == 403
    old = {**form.fields, "timestamp": str(int(form.fields["timestamp"]) - 600)}
    assert (await asyncio.to_thread(post, form.action, old))[0] == 403

    guest = await world.parts.access.create_account("guest@example.org", None, None)
    await world.call("POST", "/apps/shop/collaborators", {"user": "guest@example.org", "permissions": ["view"]})
    status, text, _ = await opened(world, world.parts.links.dashboard(addon["id"], guest.id))
    assert (status, "permission operate" in text, "resource_token" in text) == (403, True, False)
    assert dashboard_path(addon["id"], guest.id).startswith("/dashboards/")


async def test_a_partner_without_a_dashboard_has_ours(world: World, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    register(world, keeper, production={"base_url": f"{keeper.url}/heroku/resources"})
    await asyncio.to_thread(keeper.start)
    try:
        await world.create()
        addon = await created_at_partner(world)
        status, text, _ = await opened(world, addon["web_url"])
        assert (status, "be asked of Keeper" in text, "<form" in text) == (200, True, False)
    finally:
        keeper.kill()
