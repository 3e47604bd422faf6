"""app.json's add-ons at an app's first deploy: there before its release phase, once, and said where they can't be."""

import asyncio
import json
from dataclasses import replace

import pytest

from paasd.domain.addon import Kind
from paasd.domain.addon_catalogue import make_plan, make_service
from paasd.domain.app import App
from paasd.domain.errors import BuildFailed, DeployFailed, PaasError, ProviderFailed, StoreUnavailable
from tests.paasd.services.world import World, cancelled, until

RELEASES = "web: serve\nrelease: migrate"


def app_json(*addons: object) -> dict[str, str]:
    return {"app.json": json.dumps({"addons": addons})}


async def names(world: World, app: App) -> list[str]:
    """ "DATABASE heroku-postgresql:mini" of each, by name."""
    plans = {one.id: one.plan for one in await world.addons.of(app)}
    return sorted(f"{one.name} {plans[one.addon_id]}" for one in await world.addons.attachments(app_id=app.id))


async def test_they_are_there_before_the_first_release(world: World) -> None:
    """Bites: Builds.release without `provide`."""
    app = await world.create()
    wanted = app_json("heroku-postgresql", {"plan": "redis:small", "as": "CACHE", "options": {"version": "7"}})
    said = await world.push(app, RELEASES, **wanted)
    assert await names(world, app) == ["CACHE heroku-redis:small", "DATABASE heroku-postgresql:essential-0"]
    *before, last = (await world.ledger_of(app))[1:]
    assert all(" succeeded Attach " in line for line in before) and len(before) in (1, 2)  # both at once is one
    assert " succeeded Deploy " in last
    assert {"DATABASE_URL", "CACHE_URL"} <= (await world.store.releases(app.id))[-1].config.keys()
    assert "(heroku-postgresql:essential-0), which app.json asks for" in said and "not known here: version" in said
    await world.config(app, DEBUG="1")
    await world.push(app, RELEASES, **app_json("heroku-postgresql", {"plan": "redis", "as": "OTHER"}))
    assert len(await names(world, app)) == 2


async def test_what_the_app_has_is_not_made_again(world: World) -> None:
    app = await world.create()
    await world.config(app, REDIS_URL="redis://elsewhere")
    await world.addons.wait(await world.addons.create(world.actor, app, "heroku-postgresql:mini"))
    said = await world.push(app, **app_json("heroku-postgresql", "redis"))
    assert await names(world, app) == ["DATABASE heroku-postgresql:mini"]
    assert "REDIS_URL is set: redis of app.json is not created" in said


async def test_what_is_still_on_its_way_is_waited_for(world: World) -> None:
    """Created by hand a moment ago, or by a push that was given up. Bites: `provide` that waits for its own alone."""
    app = await world.create()
    gate = world.outside.provider.gates.hold("provision")
    await world.addons.create(world.actor, app, "heroku-postgresql:mini")
    await gate.reached.wait()
    pushing = asyncio.create_task(world.push(app, RELEASES, **app_json("heroku-postgresql")))
    await until(lambda: any("Build succeeded" in line for line in world.lines(app)))
    await asyncio.wait([pushing], timeout=0.3)
    assert not pushing.done()
    gate.opened.set()
    await pushing
    assert "DATABASE_URL" in (await world.store.releases(app.id))[-1].config
    assert await names(world, app) == ["DATABASE heroku-postgresql:mini"]


async def test_a_service_that_there_is_not_is_said(world: World) -> None:
    app = await world.create()
    said = await world.push(app, **app_json("papertrail:choklad", "redis"))
    assert "wants the add-on papertrail:choklad, which there is not here" in said
    assert await names(world, app) == ["REDIS heroku-redis:mini"]


@pytest.mark.parametrize(
    ("addons", "words"),
    [
        (["redis", "heroku-postgresql:hobby-dev"], "Couldn't find either the add-on service or the add-on plan"),
        ([{"plan": "redis", "as": "DATABASE"}], "attached as DATABASE already"),
    ],
)
async def test_what_can_t_be_created_is_said_and_nothing_is_released(
    world: World, addons: list[object], words: str
) -> None:
    app = await world.create()
    await world.addons.wait(await world.addons.create(world.actor, app, "heroku-postgresql:mini"))
    with pytest.raises(DeployFailed, match=words) as error:
        await world.push(app, **app_json("heroku-postgresql", *addons))
    assert "mend app.json" in str(error.value)
    assert len(await world.ledger_of(app)) == 2 and await names(world, app) == ["DATABASE heroku-postgresql:mini"]


async def test_one_that_can_t_be_provisioned_is_said_and_the_next_push_has_it(world: World) -> None:
    app = await world.create()
    world.outside.provider.gates.errors["provisioned"] = ProviderFailed("no room on the disk")
    with pytest.raises(DeployFailed, match="could not be provisioned: no room on the disk; push again"):
        await world.push(app, RELEASES, **app_json("heroku-postgresql"))
    assert len(await world.ledger_of(app)) == 1 and world.outside.provider.held == {}
    world.outside.provider.gates.errors.clear()
    await world.push(app, RELEASES, **app_json("heroku-postgresql"))
    assert "DATABASE_URL" in (await world.release(app, 3)).config


@pytest.mark.parametrize("error", [None, StoreUnavailable("The disk is full.")])
async def test_what_app_json_can_t_mend_is_not_put_on_it(world: World, error: StoreUnavailable | None) -> None:
    """No provider here, or a store that is down. Bites: one remedy for any PaasError."""
    app = await world.create()
    world.outside.provider.trouble = "The engine has no images." if error is None else None
    if error is not None:
        world.outside.provider.gates.errors["problem"] = error
    with pytest.raises(PaasError) as raised:
        await world.push(app, **app_json("heroku-postgresql"))
    if error is None:
        assert raised.value.message == (
            "app.json: Heroku Postgres can't be had here: The engine has no images; push again once that is mended."
        )
    else:
        assert raised.value is error
    assert await names(world, app) == []


async def test_a_partner_is_sent_the_options(world: World) -> None:
    plans = (make_plan("acme", "basic", "Basic", None, None, None),)
    acme = replace(make_service("acme", "Acme", Kind.PARTNER, "ACME", plans), provider=world.outside.provider.name)
    world.addons.catalogue.services += (acme,)
    app = await world.create()
    said = await world.push(app, **app_json({"plan": "acme", "options": {"region": "eu"}}))
    [addon] = await world.addons.of(app)
    assert (addon.plan, addon.options) == ("acme:basic", {"region": "eu"}) and "not known" not in said


async def test_a_pusher_that_goes_away_is_not_waited_for(world: World) -> None:
    """Its add-on goes on, and the next push finds it. Bites: `_await` by Addons.wait, which nothing cuts short."""
    app = await world.create()
    gate = world.outside.provider.gates.hold("provisioned")
    pushing = world.background.spawn("push", world.push(app, **app_json("heroku-postgresql")))
    await gate.reached.wait()
    await cancelled(pushing)
    assert not world.builds.pushing(app.id)
    gate.opened.set()
    await world.push(app, **app_json("heroku-postgresql"))
    assert await names(world, app) == ["DATABASE heroku-postgresql:essential-0"]


async def test_a_wrong_format_is_refused_before_anything_is_built(world: World) -> None:
    app = await world.create()
    with pytest.raises(BuildFailed, match='write each of "addons"'):
        await world.push(app, **app_json(["redis"]))
    assert len(await world.ledger_of(app)) == 1


async def test_heroku_yml_s_setup_comes_first_and_app_json_s_like_of_it_is_the_same_one(world: World) -> None:
    """Bites: two databases for an app that has both files; broken by `provide` without `_without_repeated`."""
    app = await world.create()
    text = "setup: {addons: [{plan: 'heroku-postgresql:mini', as: DATABASE}, {plan: redis, as: CACHE}, papertrail]}\n"
    asked = app_json("heroku-postgresql", {"plan": "heroku-redis", "as": "QUEUE"}, "papertrail:choklad")
    said = await world.push(app, RELEASES, **asked, **{"heroku.yml": text})
    assert await names(world, app) == [
        "CACHE heroku-redis:mini",
        "DATABASE heroku-postgresql:mini",
        "QUEUE heroku-redis:mini",
    ]
    assert "(heroku-postgresql:mini), which heroku.yml asks for" in said
    assert "(heroku-redis:mini), which app.json asks for" in said
    assert "heroku.yml wants the add-on papertrail, which there is not here" in said


async def test_a_failure_names_the_file_that_asks_for_it(world: World) -> None:
    app = await world.create()
    with pytest.raises(DeployFailed, match=r"^heroku\.yml: Couldn't find either .* mend heroku\.yml, or create"):
        await world.push(app, **{"heroku.yml": "setup: {addons: ['redis:no-such']}\n"})
