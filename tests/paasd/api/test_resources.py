"""The wire format, judged by the published schema: that it really judged what the other tests saw, and strictly."""

import uuid
from datetime import UTC, datetime

import pytest
from jsonschema import ValidationError

from paasd.api.links import Links
from paasd.domain.app import App
from tests.paasd.api.schema import load_judge
from tests.paasd.api.world import World


async def test_it_judges_what_the_lesson_calls(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    paths = [
        "/account", "/apps", "/apps/shop", "/apps/shop/config-vars", "/apps/shop/releases", "/apps/shop/releases/2",
        "/apps/shop/builds", "/apps/shop/formation", "/apps/shop/dynos", "/apps/shop/collaborators",
        "/apps/shop/domains", "/regions", "/stacks", "/account/rate-limits", "/apps/shop/addons",
        "/apps/shop/releases/2/config-vars",
    ]  # fmt: skip
    for path in paths:
        await world.get(path)
    assert {f"GET {path}" for path in paths} <= set(world.judged)
    assert {"POST /apps", "POST /apps/shop/releases"} <= set(world.judged)


async def test_it_is_strict(world: World) -> None:
    await world.create()
    judge = load_judge()
    app = await world.get("/apps/shop")
    for wrong in ({"maintenance": "no"}, {"id": "shop"}, {"name": "Shop!"}, {"created_at": 5}):
        with pytest.raises(ValidationError):
            judge.check("GET", "/apps/shop", {**app, **wrong})
    del app["owner"]
    with pytest.raises(AssertionError):
        judge.check("GET", "/apps/shop", app)


def test_links_follow_the_domain_and_the_public_url() -> None:
    now = datetime.now(UTC)
    links = Links("https://paas.test", "apps.test", 8080, b"s" * 32)
    app = App(str(uuid.uuid4()), "shop", str(uuid.uuid4()), "ann@example.org", False, now, now)
    assert (links.web(app), links.hostname(app)) == ("http://shop.apps.test:8080/", "shop.apps.test")
    assert links.git(app) == "https://paas.test/shop.git"
    assert links.output(app.id, "releases", "4").startswith(f"https://paas.test/streams/{app.id}/releases/4?cap=")
