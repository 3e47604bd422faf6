"""Maintenance with its end, its pause and its ways in; pages uploaded and fetched."""

import hashlib
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paasd.domain.errors import InvalidParams, RouterUnavailable, WebUnavailable
from paasd.domain.upkeep import PageKind, Upkeep
from paasd.ports import WebReply
from paasd.services.maintenance import Wish
from router.table import BYPASS_PATH, Hold, Route, bypass_token
from tests.paasd.services.world import World, until, wire


class FakeWeb:
    """Pages by URL."""

    def __init__(self) -> None:
        self.pages: dict[str, WebReply] = {}

    async def check(self, url: str) -> None:
        if "10.0.0.1" in url:
            raise InvalidParams("10.0.0.1 is not a public address: give another.")

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int,
        seconds: float,
    ) -> WebReply:
        if url not in self.pages:
            raise WebUnavailable("It can't be reached: see that it answers.")
        return self.pages[url]

    async def download(self, url: str, target: Path, *, max_bytes: int, seconds: float) -> int:
        raise WebUnavailable("It can't be reached: see that it answers.")

    async def chunks(self, url: str, *, seconds: float) -> AsyncGenerator[bytes]:
        raise WebUnavailable("It can't be reached: see that it answers.")
        yield b""


def route_of(world: World) -> Route:
    return next(route for route in world.plane.table.routes if route.name == "shop")


async def test_as_wished_and_over_a_restart(world: World) -> None:
    app = await world.deployed()
    end = datetime.now(UTC) + timedelta(hours=1)
    wish = Wish(end, 20, ["10.0.0.0/8"], "/up")
    on = await world.maintenance.turn_on(world.actor, app, wish)
    assert on.upkeep == Upkeep(end, 20.0, ("10.0.0.0/8",), "/up")
    hold = Hold(end.timestamp(), 20.0, ("10.0.0.0/8",), "/up")
    assert (route_of(world).maintenance, route_of(world).hold) == (True, hold)
    assert len(await world.ledger_of(app)) == 2
    await world.push(app)
    assert route_of(world).hold == hold
    again = wire(world.outside)
    await again.recovery.boot()
    assert route_of(again).hold == hold
    await again.background.close()
    await world.apps.set_maintenance(world.actor, app, True)  # plainly, as Heroku's client asks
    assert route_of(world).hold == Hold(health_path="/up")
    off = await world.apps.set_maintenance(world.actor, app, False)
    assert (off.upkeep, route_of(world).hold) == (Upkeep(health_path="/up"), None)


@pytest.mark.parametrize(
    "wish", [Wish(datetime(2020, 1, 1, tzinfo=UTC)), Wish(pause=500), Wish(allow=["x"]), Wish(health_path="up")]
)
async def test_a_wrong_wish_changes_nothing(world: World, wish: Wish) -> None:
    app = await world.deployed()
    with pytest.raises(InvalidParams):
        await world.maintenance.turn_on(world.actor, app, wish)
    assert not (await world.apps.find("shop")).maintenance and world.answer() == "v2"


async def test_its_end_reaches_the_ledger(world: World) -> None:
    app = await world.deployed()
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    await world.maintenance.turn_on(world.actor, app, Wish(soon))
    await world.maintenance.end_due()
    assert (await world.apps.find("shop")).maintenance

    async def over() -> bool:
        await world.maintenance.end_due()
        return not (await world.apps.find("shop")).maintenance

    await until(over)
    assert world.answer() == "v2" and route_of(world).hold is None
    assert any("its time has come" in line for line in world.lines(app))


async def test_refused_whole_without_a_router(world: World) -> None:
    app = await world.deployed()
    await world.maintenance.turn_on(world.actor, app, Wish(pause=5))
    world.plane.stop()
    with pytest.raises(RouterUnavailable):
        await world.maintenance.turn_on(world.actor, app, Wish(allow=["10.0.0.0/8"]))
    with pytest.raises(RouterUnavailable):
        await world.maintenance.turn_off(world.actor, app, Wish())
    assert (await world.apps.find("shop")).upkeep.pause == 5


async def test_a_bypass_is_what_the_router_opens_to_until_maintenance_ends(world: World) -> None:
    app = await world.deployed()
    await world.apps.set_maintenance(world.actor, app, True)
    made = await world.maintenance.bypass(world.actor, app, 60, "/admin")
    hold = route_of(world).hold
    assert hold is not None and hold.bypass
    token = bypass_token(hold.bypass, app.id, int(made.expires_at.timestamp()))
    assert made.path == f"{BYPASS_PATH}{token}/admin"
    second = await world.maintenance.bypass(world.actor, app, 60, "/")
    assert (route_of(world).hold, second.path.partition(".")[0]) == (hold, made.path.partition(".")[0])
    assert token not in "\n".join(world.lines(app))
    await world.apps.set_maintenance(world.actor, app, False)
    assert route_of(world).hold is None


async def test_pages_reach_the_router_before_the_table_that_names_them(world: World) -> None:
    app = await world.deployed()
    page = await world.maintenance.set_page(world.actor, app, PageKind.MAINTENANCE, b"<h1>soon</h1>")
    assert route_of(world).maintenance_page == page.sha256
    assert world.plane.pages == {page.sha256: b"<h1>soon</h1>"}
    world.plane.pages.clear()  # a router with a new folder
    await world.recovery.reconcile()
    assert list(world.plane.pages) == [page.sha256]
    await world.maintenance.clear_page(world.actor, app, PageKind.MAINTENANCE)
    assert route_of(world).maintenance_page == ""


async def test_pages_of_config_vars(world: World) -> None:
    web, url = FakeWeb(), "https://static.example/oops?secret=1"
    again = wire(world.outside, web=web)
    app = await again.deployed()
    await again.apps.set_config(again.actor, app, {"ERROR_PAGE_URL": url})
    await again.maintenance.fetch_all()
    assert route_of(again).error_page == ""
    web.pages[url] = WebReply(200, {}, b"<h1>oops</h1>")
    await again.maintenance.fetch(app)
    assert route_of(again).error_page == hashlib.sha256(b"<h1>oops</h1>").hexdigest()
    for away in (WebReply(500, {}, b""), WebReply(200, {}, b"\xff")):
        web.pages[url] = away
        await again.maintenance.fetch_all()
        assert route_of(again).error_page
    assert "the page it gave before stays" in "\n".join(again.lines(app))
    assert "secret=1" not in "\n".join(again.lines(app))
    await again.apps.set_config(again.actor, app, {"ERROR_PAGE_URL": None})
    again.maintenance.config_changed(app)
    await until(lambda: route_of(again).error_page == "")
    with pytest.raises(InvalidParams, match=r"ERROR_PAGE_URL: 10\.0\.0\.1"):
        await again.maintenance.check_urls({"ERROR_PAGE_URL": "http://10.0.0.1/", "OTHER": "http://10.0.0.1/"})
    await again.background.close()
