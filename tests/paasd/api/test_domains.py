"""Domains over the wire. Row S07: one app does not get what is another's, however it is spelled."""

from dataclasses import replace

import pytest

from paasd.domain.access import ALL_PERMISSIONS, Actor
from paasd.domain.errors import InvalidParams
from tests.paasd.api.people import person, share
from tests.paasd.api.world import World

S07_TITLE = "domains that are another app's, the platform's own, or no host names, through API, CLI and router"


async def test_from_add_to_remove(world: World) -> None:
    app = await world.create()
    [own] = await world.get("/apps/shop/domains", Range="id ..; max=1000;")
    assert (own["hostname"], own["kind"], own["status"], own["cname"]) == ("shop.localhost", "heroku", "none", None)
    assert await world.get("/apps/shop/domains/SHOP.localhost.") == own
    added = await world.call("POST", "/apps/shop/domains", {"hostname": "BÜCHER.example.", "sni_endpoint": None})
    assert added.status == 201
    assert (added.json["hostname"], added.json["kind"]) == ("xn--bcher-kva.example", "custom")
    assert (added.json["cname"], added.json["status"]) == ("shop.localhost", "none")
    assert await world.get("/apps/shop/domains/b%C3%BCcher.example") == added.json
    assert await world.get(f"/apps/{app.id}/domains/{added.json['id']}") == added.json
    assert await world.get("/apps/shop/domains") in ([own, added.json], [added.json, own])
    hosts: tuple[str, ...] = world.router.routes[0].hosts
    assert hosts == ("shop.localhost", "xn--bcher-kva.example")
    unchanged = await world.call("PATCH", "/apps/shop/domains/xn--bcher-kva.example", {"sni_endpoint": None})
    assert (unchanged.status, unchanged.json) == (200, added.json)
    gone = await world.call("DELETE", "/apps/shop/domains/xn--bcher-kva.example")
    assert (gone.status, gone.json["hostname"]) == (200, "xn--bcher-kva.example")
    hosts = world.router.routes[0].hosts
    assert hosts == ("shop.localhost",)
    missing = await world.call("GET", "/apps/shop/domains/xn--bcher-kva.example")
    assert (missing.status, missing.json["resource"]) == (404, "domain")
    noted = [entry["detail"] for entry in await world.get("/apps/shop/audit") if "domain" in entry["detail"]]
    assert {"domain": [None, "xn--bcher-kva.example"], "fields": ["hostname", "sni_endpoint"]} in noted


@pytest.mark.parametrize(
    "taken",
    [
        "www.example.org",
        "WWW.EXAMPLE.ORG",
        "www.example.org.",
        "ｗｗｗ.example.org",
        "a.wild.example.org",
        "*.example.org",
        "*.a.wild.example.org",
        "xn--bcher-kva.example",
        "BÜCHER.example",
    ],
)
@pytest.mark.row("S07", S07_TITLE)
async def test_what_is_somebody_elses_is_refused(world: World, taken: str) -> None:
    """Bites: store what came instead of `normalize(it)`, and every spelling but the first is taken."""
    theirs = await world.create("theirs")
    for hostname in ("www.example.org", "*.wild.example.org", "bücher.example"):
        assert (await world.call("POST", "/apps/theirs/domains", {"hostname": hostname})).status == 201
    await world.create()
    other = await world.call("POST", "/paasd/accounts", {"email": "bob@example.org"})
    assert other.status == 201, other.json
    await world.store.give_app(theirs.id, other.json["id"])
    refused = await world.call("POST", "/apps/shop/domains", {"hostname": taken})
    assert (refused.status, refused.json["id"], refused.json["resource"]) == (422, "invalid_params", "domain")
    assert "theirs" not in refused.json["message"].replace("remove theirs", "")
    assert world.router.routes[0].hosts == ("shop.localhost",)


@pytest.mark.parametrize(
    "ours",
    [
        "theirs.localhost",
        "THEIRS.localhost.",
        "nobody.localhost",
        "localhost",
        "*.localhost",
        "a.b.localhost",
        "paas.example.org",
        "127.0.0.1",
        "[::1]",
        "www.example.org:80",
        "http://www.example.org",
        "*",
        "*.org",
        "a b",
    ],
)
@pytest.mark.row("S07", S07_TITLE)
async def test_what_is_ours_or_no_host_name_is_refused(world: World, ours: str) -> None:
    """Bites: without `Domains._free`, names under the zone are taken."""
    await world.create("theirs")
    await world.create()
    refused = await world.call("POST", "/apps/shop/domains", {"hostname": ours})
    assert (refused.status, refused.json["id"], refused.json["resource"]) == (422, "invalid_params", "domain")


async def test_the_same_owner_may_have_a_wildcard_and_a_name_under_it(world: World) -> None:
    await world.create()
    await world.create("blog")
    assert (await world.call("POST", "/apps/shop/domains", {"hostname": "*.example.org"})).status == 201
    assert (await world.call("POST", "/apps/blog/domains", {"hostname": "blog.example.org"})).status == 201


async def test_what_can_not_be_done(world: World) -> None:
    await world.create()
    for body in ({}, {"hostname": None}, {"hostname": 7}, {"hostname": "a.example.org", "sni_endpoint": "cert"}):
        assert (await world.call("POST", "/apps/shop/domains", body)).status == 422
    kept = await world.call("DELETE", "/apps/shop/domains/shop.localhost")
    assert kept.status == 422 and "keeps its own name" in kept.json["message"]
    assert (await world.call("PATCH", "/apps/shop/domains/shop.localhost", {"sni_endpoint": "x"})).status == 422
    assert (await world.call("DELETE", "/apps/shop/domains/www.example.org")).status == 404


async def test_a_wildcard_over_our_own_names_is_an_admin_s(world: World) -> None:
    """Bites: `Domains.add` without its look at `_over_ours`: paas.example.org is refused, and served all the same."""
    ann = await person(world, "ann@example.org")
    await ann.call("POST", "/apps", {"name": "anns"})
    await world.create()
    refused = await ann.call("POST", "/apps/anns/domains", {"hostname": "*.Example.org"})
    assert (refused.status, refused.json["id"], refused.json["resource"]) == (422, "invalid_params", "domain")
    assert (await ann.call("POST", "/apps/anns/domains", {"hostname": "*.ann.example.org"})).status == 201
    assert (await world.call("POST", "/apps/shop/domains", {"hostname": "*.example.com"})).status == 201
    zone = replace(world.parts.domains, zone="apps.example.net", ours=frozenset())
    app = await world.parts.apps.find("anns")
    with pytest.raises(InvalidParams, match="no more"):
        await zone.add(Actor(ann.account.id, ann.account.email, "laptop", "192.0.2.1"), app, "*.example.net")


async def test_an_app_that_was_given_away_takes_no_name_of_its_new_owner_s(world: World) -> None:
    """Bites: `Domains.add` without its look at what the caller may do to the app whose name it is near: nobody has to
    accept an app, and a collaborator of it stays one."""
    bob, eve, mallory = [await person(world, f"{name}@example.org") for name in ("bob", "eve", "mallory")]
    await bob.call("POST", "/apps", {"name": "bobs"})
    assert (await bob.call("POST", "/apps/bobs/domains", {"hostname": "*.bob.example.com"})).status == 201
    await mallory.call("POST", "/apps", {"name": "present"})
    await share(world, await world.parts.apps.find("present"), eve, *ALL_PERMISSIONS)
    wish = {"app": "present", "recipient": "bob@example.org"}
    assert (await mallory.call("POST", "/account/app-transfers", wish)).status == 201
    for hostname in ("login.bob.example.com", "*.example.com", "*.a.bob.example.com"):
        refused = await eve.call("POST", "/apps/present/domains", {"hostname": hostname})
        assert (refused.status, refused.json["id"]) == (422, "invalid_params"), hostname
        assert "bobs" not in refused.json["message"]
    assert (await bob.call("POST", "/apps/present/domains", {"hostname": "login.bob.example.com"})).status == 201
