"""A third party's service, run as its own process: what it is asked, what it tells us, and what it may not do."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from paasd.adapters.partner_addons import PartnerAddons
from paasd.adapters.web_fetch import WebFetch
from paasd.domain.addon import AddonState
from paasd.domain.addon_catalogue import Catalogue, partner_service
from paasd.domain.partner import CODE, issue
from paasd.services.addon_work import AddonRules
from tests.keeper import PASSWORD, SALT, Keeper, ask, until
from tests.paasd.api.test_logs import session
from tests.paasd.api.world import World

LOCAL = ("127.0.0.0/8",)
OPERATOR_ROUTES = (("PATCH", "/config"), ("POST", "/actions/provision"), ("POST", "/actions/deprovision"))


def register(world: World, keeper: Keeper, **api: Any) -> None:
    """As the daemon does with addons.partners."""
    manifest = keeper.manifest(**api)
    work, known = world.parts.addons.work, world.parts.partners.manifests
    assert isinstance(known, list) and isinstance(work.providers, dict)
    known.append(manifest)
    work.providers[manifest.provider] = PartnerAddons(manifest, WebFetch(LOCAL), world.parts.public_url, b"s" * 32)
    work.catalogue = Catalogue([*work.catalogue.services, partner_service(manifest)])
    work.rules = AddonRules(deadline=20, retry=0.05)


@pytest.fixture
async def keeper(tmp_path: Path, world: World) -> AsyncIterator[Keeper]:
    folder = tmp_path / "keeper"
    folder.mkdir()
    one = Keeper(folder)
    register(world, one)
    await asyncio.to_thread(one.start)
    yield one
    one.kill()


async def create(world: World, plan: str = "keeper:small", **options: object) -> dict[str, Any]:
    answer = await world.call("POST", "/apps/shop/addons", {"plan": plan, "config": options})
    assert answer.status == 201, answer.json
    return dict(answer.json)


async def created(world: World, plan: str = "keeper:small", **options: object) -> dict[str, Any]:
    """Once nothing more is done for it."""
    made = await create(world, plan, **options)
    await settled(world, made)
    return dict(await world.get(f"/addons/{made['id']}"))


async def settled(world: World, made: Mapping[str, Any]) -> None:
    async with asyncio.timeout(20):
        await world.parts.addons.wait(await world.store.addon(made["id"]))


async def config(world: World) -> dict[str, str]:
    return dict(await world.get("/apps/shop/config-vars"))


async def tokens(world: World, code: str, secret: str = PASSWORD, grant: str = "authorization_code") -> Any:
    name = "refresh_token" if grant == "refresh_token" else "code"
    form = {"grant_type": grant, name: code, "client_secret": secret}
    return await world.ask("POST", "/oauth/token", data=form)


async def test_one_that_is_there_at_once(world: World, keeper: Keeper) -> None:
    await world.create()
    made = await created(world)
    assert (made["state"], made["provision_message"]) == ("provisioned", "Keeper keeps what you put.")
    assert (made["config_vars"], made["provider_id"]) == (["KEEPER_TOKEN", "KEEPER_URL"], made["id"])
    [(uuid, held)] = keeper.resources().items()
    assert (uuid, held["plan"], held["name"]) == (made["id"], "small", made["name"])
    given = await config(world)
    assert given == {"KEEPER_URL": keeper.url, "KEEPER_TOKEN": held["token"]}
    assert await asyncio.to_thread(ask, "PUT", f"{given['KEEPER_URL']}/values/a", given["KEEPER_TOKEN"], b"1") == (
        204,
        b"",
    )
    [release, *_] = reversed(await world.get("/apps/shop/releases"))
    assert release["description"] == f"Attach KEEPER (@{made['name']})"
    assert await world.get(f"/addons/{made['id']}/config") == [
        {"name": "KEEPER_TOKEN", "value": held["token"]},
        {"name": "KEEPER_URL", "value": keeper.url},
    ]

    changed = await world.call("PATCH", f"/apps/shop/addons/{made['id']}", {"plan": "keeper:large"})
    assert (changed.json["plan"]["name"], keeper.resources()[uuid]["plan"]) == ("keeper:large", "large")
    for key in "bcd":
        await asyncio.to_thread(ask, "PUT", f"{keeper.url}/values/{key}", given["KEEPER_TOKEN"], b"1")
    refused = await world.call("PATCH", f"/apps/shop/addons/{made['id']}", {"plan": "keeper:small"})
    assert (refused.status, "4 values are kept, of 3" in refused.json["message"]) == (422, True)
    assert (await world.get(f"/addons/{made['id']}"))["plan"]["name"] == "keeper:large"

    await world.call("DELETE", f"/apps/shop/addons/{made['id']}")
    await settled(world, made)
    assert (keeper.resources(), await config(world)) == ({}, {})
    assert await world.get("/addons?state=destroyed") == []  # there is nothing to have again


async def test_one_that_is_there_later(world: World, keeper: Keeper) -> None:
    """Answered with 202: the partner trades its code for a token, gives the config vars and says when. Bites when
    `AddonWork._provide` does not wait for what is pending: the release comes without config vars."""
    await world.create()
    made = await created(world, slow=True)
    assert made["state"] == "provisioned"
    held = keeper.resources()[made["id"]]
    assert await config(world) == {"KEEPER_URL": keeper.url, "KEEPER_TOKEN": held["token"]}
    attached = [one for one in await world.get("/apps/shop/releases") if "Attach" in one["description"]]
    assert len(attached) == 1


async def test_two_apps_and_other_names(world: World, keeper: Keeper) -> None:
    await world.create()
    await world.create("till")
    made = await created(world)
    second = await created(world)
    assert sorted(one["name"] for one in await world.get("/apps/shop/addon-attachments"))[0] == "KEEPER"
    body = {"addon": made["id"], "app": "till", "name": "STORE"}
    assert (await world.call("POST", "/addon-attachments", body)).status == 201
    theirs = await world.get("/apps/till/config-vars")
    assert theirs.keys() == {"STORE_URL", "STORE_TOKEN"}
    assert theirs["STORE_TOKEN"] == (await config(world))["KEEPER_TOKEN"]
    assert second["config_vars"] != made["config_vars"]


@pytest.mark.parametrize("requires", [[], ["attachable"], ["many_per_app"]])
async def test_what_a_manifest_does_not_require_is_refused(world: World, tmp_path: Path, requires: list[str]) -> None:
    keeper = Keeper(tmp_path)
    register(world, keeper, requires=requires)
    await asyncio.to_thread(keeper.start)
    try:
        await world.create()
        await world.create("till")
        made = await created(world)
        again = await world.call("POST", "/apps/shop/addons", {"plan": "keeper:small"})
        assert again.status == (201 if "many_per_app" in requires else 422), again.json
        other = await world.call("POST", "/addon-attachments", {"addon": made["id"], "app": "till", "name": "STORE"})
        assert other.status == (201 if "attachable" in requires else 422), other.json
    finally:
        keeper.kill()


async def gone(world: World, keeper: Keeper, made: Mapping[str, Any]) -> str:
    """Why; nothing may be left of it."""
    await settled(world, made)
    shown = await world.call("GET", f"/addons/{made['id']}")
    assert shown.status == 422
    assert (await world.store.addon(made["id"])).state is AddonState.FAILED
    assert (await config(world), await world.get("/apps/shop/addons")) == ({}, [])
    assert len(await world.get("/apps/shop/releases")) == 1
    await until(lambda: nothing(keeper))
    return str(shown.json["message"])


async def nothing(keeper: Keeper) -> bool:
    return keeper.resources() == {}


async def test_one_that_is_refused(world: World, keeper: Keeper) -> None:
    await world.create()
    made = await create(world, fail=True)
    assert "Keeper refuses (HTTP 422): Keeper is full: try again next week." in await gone(world, keeper, made)


async def test_one_that_its_partner_gives_up(world: World, keeper: Keeper) -> None:
    await world.create()
    made = await create(world, slow="fail")
    assert "Keeper could not provide it." in await gone(world, keeper, made)


async def test_one_that_is_never_finished(world: World, keeper: Keeper) -> None:
    world.parts.addons.work.rules = AddonRules(deadline=1.0, retry=0.05)
    await world.create()
    made = await create(world, slow="never")
    await until(lambda: kept(keeper))
    message = await gone(world, keeper, made)
    assert "Given up after 1 seconds: keeper has not said that it is there" in message


async def kept(keeper: Keeper) -> bool:
    return keeper.resources() != {}


async def test_one_that_is_destroyed_while_it_is_pending(world: World, keeper: Keeper) -> None:
    await world.create()
    made = await create(world, slow="never")
    await until(lambda: kept(keeper))
    assert (await world.call("DELETE", f"/apps/shop/addons/{made['id']}")).status == 200
    await settled(world, made)
    assert keeper.resources() == {}


async def test_a_partner_that_is_away_is_asked_again(world: World, keeper: Keeper) -> None:
    await world.create()
    keeper.kill()
    made = await create(world)
    await asyncio.sleep(0.2)
    assert (await world.get(f"/addons/{made['id']}"))["state"] == "provisioning"
    await asyncio.to_thread(keeper.start)
    await settled(world, made)
    assert (await world.get(f"/addons/{made['id']}"))["state"] == "provisioned"
    keeper.kill()
    await world.call("DELETE", f"/apps/shop/addons/{made['id']}")
    await settled(world, made)
    assert (await world.store.addon(made["id"])).state is AddonState.DEPROVISIONING
    said = (await world.ask("GET", await session(world, {}))).raw.decode()
    assert f"Add-on {made['name']} can't be destroyed yet: Keeper is away: 127.0.0.1 can't be reached" in said
    await asyncio.to_thread(keeper.start)
    await world.parts.addons.work.mend()
    await settled(world, made)
    assert ((await world.store.addon(made["id"])).state, keeper.resources()) == (AddonState.DEPROVISIONED, {})


async def pending(world: World, keeper: Keeper) -> tuple[dict[str, Any], str]:
    """One that its partner never finishes, and a code for it, as the partner has it."""
    await world.create()
    made = await create(world, slow="never")
    await until(lambda: kept(keeper))
    return made, issue(b"s" * 32, CODE, made["id"], time.time())


async def test_a_partner_s_token_opens_its_add_on_alone(world: World, keeper: Keeper) -> None:
    """Bites when identity's `_admit_partner` does not compare route and add-on."""
    made, code = await pending(world, keeper)
    for wrong in (await tokens(world, code, "no"), await tokens(world, "x"), await tokens(world, "", "")):
        assert (wrong.status, wrong.json["id"]) == (401, "unauthorized")
    assert (await tokens(world, code, grant="password")).status == 422
    said = (await tokens(world, code)).json
    assert (said["token_type"], said["expires_in"]) == ("Bearer", 28800)
    assert (await tokens(world, code)).status == 401  # once
    again = (await tokens(world, said["refresh_token"], grant="refresh_token")).json
    bearer = {"Authorization": f"Bearer {again['access_token']}"}
    base = f"/addons/{made['id']}"
    shown = await world.ask("GET", base, headers=bearer)
    assert (shown.json["name"], shown.json["web_url"]) == (made["name"], None)
    other = await create(world, slow="never")
    for method, path in (
        ("GET", "/apps"),
        ("GET", "/account"),
        ("GET", "/apps/shop/config-vars"),
        ("GET", "/addons"),
        ("GET", f"/addons/{other['id']}"),
        ("GET", f"/addons/{made['name']}"),
        ("DELETE", f"/apps/shop/addons/{made['id']}"),
        ("POST", f"/addons/{other['id']}/actions/provision"),
    ):
        assert (await world.ask(method, path, headers=bearer)).status == 403, path
    for refresh in (said["refresh_token"], code):
        assert (await world.ask("GET", base, headers={"Authorization": f"Bearer {refresh}"})).status == 401
    wrong_config = {"config": [{"name": "PATH", "value": "/"}]}
    assert (await world.ask("PATCH", f"{base}/config", json=wrong_config, headers=bearer)).status == 422
    assert (await world.ask("PATCH", f"{base}/config", json={"config": {}}, headers=bearer)).status == 422
    given = {"config": [{"name": "KEEPER_URL", "value": "https://one"}]}
    assert (await world.ask("PATCH", f"{base}/config", json=given, headers=bearer)).status == 200
    assert await config(world) == {}  # it is not there yet
    assert (await world.ask("POST", f"{base}/actions/provision", headers=bearer)).status == 200
    assert (await world.ask("POST", f"{base}/actions/provision", headers=bearer)).status == 200
    await settled(world, made)
    assert (await config(world))["KEEPER_URL"] == "https://one"

    given["config"] = [{"name": "KEEPER_URL", "value": "https://two"}]
    assert (await world.ask("PATCH", f"{base}/config", json=given, headers=bearer)).status == 200
    await until(lambda: has(world, "KEEPER_URL", "https://two"))
    [newest] = (await world.call("GET", "/apps/shop/releases", Range="version ..; max=1, order=desc")).json
    assert newest["description"] == "Update KEEPER by keeper"
    assert (await world.ask("POST", f"{base}/actions/deprovision", headers=bearer)).status == 409
    await world.call("DELETE", f"/apps/shop/addons/{made['id']}")
    await settled(world, made)
    assert (await world.ask("GET", base, headers=bearer)).status == 401
    recorded = json.dumps(await world.get("/paasd/audit"))
    assert "keeper@addons" in recorded and "KEEPER_URL" in recorded and "https://two" not in recorded


async def has(world: World, name: str, value: str) -> bool:
    return (await config(world)).get(name) == value


async def test_people_may_not_speak_for_a_partner(world: World, keeper: Keeper) -> None:
    """But an admin, for one that is stuck."""
    made, _ = await pending(world, keeper)
    for method, path in OPERATOR_ROUTES:
        assert (await world.ask(method, f"/addons/{made['id']}{path}")).status == 401
    given = {"config": [{"name": "KEEPER_URL", "value": "https://by.hand"}]}
    assert (await world.call("PATCH", f"/addons/{made['id']}/config", given)).status == 200
    assert (await world.call("POST", f"/addons/{made['id']}/actions/provision")).status == 200
    await settled(world, made)
    assert (await config(world))["KEEPER_URL"] == "https://by.hand"


async def test_a_service_that_is_not_offered_any_more(world: World, keeper: Keeper) -> None:
    """Its add-ons are shown, and told of where more is asked of them."""
    await world.create()
    made = await created(world)
    work, known = world.parts.addons.work, world.parts.partners.manifests
    assert isinstance(known, list) and isinstance(work.providers, dict)
    known.clear()
    del work.providers["partner:keeper"]
    work.catalogue = Catalogue(one for one in work.catalogue.services if one.name != "keeper")
    [shown] = await world.get("/apps/shop/addons")
    assert shown["addon_service"]["name"] == "keeper"
    assert (await config(world)).keys() == {"KEEPER_URL", "KEEPER_TOKEN"}
    refused = await world.call("GET", f"/addons/{made['id']}/config")
    assert (refused.status, "partner:keeper" in refused.json["message"]) == (503, True)


async def test_options_are_for_partners(world: World, keeper: Keeper) -> None:
    await world.create()
    body = {"plan": "heroku-redis:mini", "config": {"fork": "x"}}
    refused = await world.call("POST", "/apps/shop/addons", body)
    assert (refused.status, "fork" in refused.json["message"]) == (422, True)
    wrongs: tuple[object, ...] = ({"x": {}}, {"x": "y" * 2000}, {str(number): "" for number in range(60)})
    for wrong in wrongs:
        assert (await world.call("POST", "/apps/shop/addons", {"plan": "keeper", "config": wrong})).status == 422
    assert keeper.resources() == {}


async def test_its_secrets_are_not_told(world: World, keeper: Keeper, capfd: pytest.CaptureFixture[str]) -> None:
    await world.create()
    await created(world)
    shown = json.dumps([await world.get("/addons"), await world.get("/addon-services")])
    said = "".join(capfd.readouterr())
    for secret in (PASSWORD, SALT):
        assert secret not in shown + said


async def test_what_is_no_partner_s_has_no_config_to_give(world: World) -> None:
    await world.create()
    made = await create(world, "heroku-redis:mini")
    await settled(world, made)
    for path, method in (("config", "PATCH"), ("actions/provision", "POST"), ("actions/deprovision", "POST")):
        body = {"config": [{"name": "REDIS_URL", "value": "x"}]} if method == "PATCH" else None
        answer = await world.call(method, f"/addons/{made['id']}/{path}", body)
        assert (answer.status, "is no partner's" in answer.json["message"]) == (422, True)


async def test_what_is_said_too_late(world: World, keeper: Keeper) -> None:
    """Of one that goes already, or is gone for good; and a config var that is taken away again."""
    made, code = await pending(world, keeper)
    said = (await tokens(world, code)).json
    bearer = {"Authorization": f"Bearer {said['access_token']}"}
    base = f"/addons/{made['id']}"
    both = [{"name": "KEEPER_URL", "value": "u"}, {"name": "KEEPER_TOKEN", "value": "t"}]
    assert (await world.ask("PATCH", f"{base}/config", json={"config": both}, headers=bearer)).status == 200
    assert (await world.ask("POST", f"{base}/actions/provision", headers=bearer)).status == 200
    await settled(world, made)
    assert (await config(world)) == {"KEEPER_URL": "u", "KEEPER_TOKEN": "t"}
    less = {"config": [{"name": "KEEPER_TOKEN", "value": None}]}
    assert (await world.ask("PATCH", f"{base}/config", json=less, headers=bearer)).json == [
        {"name": "KEEPER_URL", "value": "u"}
    ]
    await until(lambda: is_config(world, {"KEEPER_URL": "u"}))

    keeper.kill()
    await world.call("DELETE", f"/apps/shop/addons/{made['id']}")
    await settled(world, made)
    answer = await world.ask("POST", f"{base}/actions/provision", headers=bearer)
    assert (answer.status, "not wanted any more" in answer.json["message"]) == (409, True)
    assert (await world.ask("PATCH", f"{base}/config", json={"config": both}, headers=bearer)).status == 200
    assert await config(world) == {}
    assert (await world.ask("POST", f"{base}/actions/deprovision", headers=bearer)).status == 200
    await asyncio.to_thread(keeper.start)
    await world.parts.addons.work.mend()
    await settled(world, made)
    assert keeper.resources() == {}
    await world.store.forget_addon(made["id"])
    assert (await world.ask("GET", base, headers=bearer)).status == 401


async def is_config(world: World, wanted: dict[str, str]) -> bool:
    return await config(world) == wanted
