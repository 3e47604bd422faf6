"""Add-ons and attachments over the wire: what the heroku CLI asks for, and what each may do."""

from typing import Any

import pytest

from paasd.domain.errors import ProviderFailed
from tests.fake_addons import FakeProvider
from tests.paasd.api.world import ACCEPT, World

PLAN = {"plan": {"name": "heroku-postgresql:essential-0"}}


async def created(world: World, app: str = "shop", **more: object) -> dict[str, Any]:
    """One that is provisioned, with its release."""
    answer = await world.call("POST", f"/apps/{app}/addons", {**PLAN, **more})
    assert answer.status == 201, answer.json
    assert answer.json["state"] == "provisioning"
    addon = await world.parts.addons.find(answer.json["id"])
    await world.parts.addons.wait(addon)
    found: dict[str, Any] = await world.get(f"/apps/{app}/addons/{answer.json['name']}")
    assert found["state"] == "provisioned"
    return found


async def refused(world: World, method: str, path: str, body: object = None) -> tuple[int, str, str]:
    answer = await world.call(method, path, body)
    return answer.status, answer.json["id"], answer.json["message"]


async def test_options_of_a_new_addon_are_refused_whatever_they_are(world: World) -> None:
    """Bites: `sorted(map(str, …))` of what is no object raises."""
    await world.create()
    of_all_kinds: list[object] = [{"fork": "x"}, 5, "text", ["a"], {"a": {}}]
    for options in of_all_kinds:
        status, kind, message = await refused(world, "POST", "/apps/shop/addons", {**PLAN, "config": options})
        assert (status, kind) == (422, "invalid_params")
        assert "Nothing can be set" in message


async def test_created_it_comes_with_a_config_var_in_a_release(world: World) -> None:
    app = await world.create()
    addon = await created(world)
    assert addon["config_vars"] == ["DATABASE_URL"]
    assert (addon["plan"]["name"], addon["addon_service"]["name"]) == (PLAN["plan"]["name"], "heroku-postgresql")
    assert (await world.get("/apps/shop/config-vars"))["DATABASE_URL"].startswith("postgres://")
    release = (await world.get("/apps/shop/releases", Range="version ..; order=desc, max=1"))[0]
    assert release["description"] == f"Attach DATABASE (@{addon['name']})"
    assert release["addon_plan_names"] == [PLAN["plan"]["name"]]
    details = (await world.get(f"/apps/shop/releases/{release['version']}?extended=true"))["extended"]
    assert details["addons"] == [
        {
            "attachment": "DATABASE",
            "addon": addon["name"],
            "plan": addon["plan"]["name"],
            "config_vars": ["DATABASE_URL"],
        }
    ]
    assert await world.get("/addons") == await world.get("/apps/shop/addons") == [addon]
    assert await world.get(f"/addons/{addon['name']}") == await world.get(f"/addons/{addon['id']}") == addon
    [attached] = await world.get(f"/addons/{addon['id']}/addon-attachments")
    assert (attached["name"], attached["app"]["id"], attached["addon"]["id"]) == ("DATABASE", app.id, addon["id"])
    assert await world.get(f"/addon-attachments/{attached['id']}") == attached
    assert await world.get("/addon-attachments") == await world.get("/apps/shop/addon-attachments") == [attached]
    assert (await world.get(f"/addons/{addon['id']}/config"))[0]["value"].startswith("postgres://")


async def test_what_the_cli_asks_to_be_whole_is(world: World) -> None:
    await world.create()
    addon = await created(world)
    wanted = {"Accept-Expansion": "addon_service,plan"}
    answer = await world.call("POST", "/actions/addons/resolve", {"addon": "DATABASE_URL", "app": "shop"}, **wanted)
    [found] = answer.json
    assert found["plan"]["price"]["cents"] == 0
    assert found["addon_service"]["human_name"] == "Heroku Postgres"
    included = {"Accept-Inclusion": "addon:plan,config_vars"}
    body = {"addon_attachment": "DATABASE", "app": "shop", "addon_service": "heroku-postgresql"}
    [attached] = (await world.call("POST", "/actions/addon-attachments/resolve", body, **included)).json
    assert attached["config_vars"] == ["DATABASE_URL"]
    assert attached["addon"]["plan"]["name"] == addon["plan"]["name"]
    assert attached["namespace"] is None


async def test_services_and_plans(world: World) -> None:
    services = await world.get("/addon-services")
    assert [one["name"] for one in services] == ["heroku-postgresql", "heroku-redis"]
    assert await world.get("/addon-services/postgresql") == services[0]
    plans = await world.get("/addon-services/heroku-redis/plans")
    assert [one["name"] for one in plans if one["default"]] == ["heroku-redis:mini"]
    assert (await refused(world, "GET", "/addon-services/mysql"))[:2] == (404, "not_found")


async def test_attached_to_another_app_renamed_upgraded_and_detached(world: World) -> None:
    await world.create()
    await world.create("till")
    addon = await created(world)
    body = {"addon": {"name": addon["name"]}, "app": {"name": "till"}, "name": "ORDERS"}
    made = await world.call("POST", "/addon-attachments", body)
    assert (made.status, made.json["name"]) == (201, "ORDERS")
    assert "ORDERS_URL" in await world.get("/apps/till/config-vars")
    status, _, message = await refused(world, "DELETE", f"/apps/shop/addons/{addon['id']}")
    assert (status, "till" in message) == (422, True)
    assert (await refused(world, "POST", "/addon-attachments", body))[0] == 422
    gone = await world.call("DELETE", f"/addon-attachments/{made.json['id']}")
    assert gone.status == 200
    assert "ORDERS_URL" not in await world.get("/apps/till/config-vars")
    patched = await world.call("PATCH", f"/apps/shop/addons/{addon['name']}", {"plan": {"name": "postgresql:small"}})
    assert patched.json["plan"]["name"] == "heroku-postgresql:small"
    assert patched.json["provision_message"]
    renamed = await world.call("PATCH", f"/apps/shop/addons/{addon['id']}", {"name": "orders"})
    assert renamed.json["name"] == "orders"


async def test_destroyed_and_had_again(world: World) -> None:
    await world.create()
    addon = await created(world)
    gone = await world.call("DELETE", f"/apps/shop/addons/{addon['id']}", {"force": False})
    assert gone.json["state"] == "deprovisioning"
    await world.parts.addons.wait(await world.parts.addons.find(addon["id"]))
    assert "DATABASE_URL" not in await world.get("/apps/shop/config-vars")
    assert await world.get("/apps/shop/addons") == []
    [kept] = await world.get("/addons?state=destroyed")
    assert (kept["name"], kept["state"]) == (addon["name"], "deprovisioned")
    again = await world.call("POST", "/apps/shop/addons/actions/undestroy", {"addon": addon["name"]})
    assert (again.status, again.json["state"]) == (201, "provisioned")
    assert "DATABASE_URL" in await world.get("/apps/shop/config-vars")


async def test_a_rollback_says_where_add_ons_differ_from_then(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    addon = await created(world)
    await world.settled(app)
    answer = await world.call("POST", "/apps/shop/releases", {"release": "v2"})
    assert answer.status == 201, answer.json
    warning = answer.header("X-Heroku-Warning") or ""
    assert f"DATABASE is {addon['name']} (heroku-postgresql:essential-0) now, and was not attached then." in warning
    await world.settled(app)
    assert "DATABASE_URL" in await world.get("/apps/shop/config-vars")


async def test_bad_input(world: World) -> None:
    await world.create()
    addon = await created(world, name="orders")
    path = "/apps/shop/addons"
    assert (await refused(world, "POST", path, {"plan": {"name": "mysql:big"}}))[:2] == (404, "not_found")
    assert (await refused(world, "POST", path, {"plan": "postgresql:huge"}))[:2] == (404, "not_found")
    assert (await refused(world, "POST", path, {**PLAN, "name": "orders"}))[:2] == (422, "invalid_params")
    assert (await refused(world, "POST", path, {**PLAN, "name": "../x"}))[:2] == (422, "invalid_params")
    assert (await refused(world, "POST", path, {**PLAN, "attachment": {"name": "DATABASE"}}))[0] == 422
    assert (await refused(world, "POST", path, {**PLAN, "config": {"fork": "DATABASE"}}))[0] == 422
    assert (await refused(world, "POST", path))[0] == 422
    assert (await refused(world, "GET", "/addons/nothing"))[:2] == (404, "not_found")
    assert (await world.call("GET", "/addons/nothing")).json["resource"] == "add_on"
    found = await world.call("POST", "/actions/addon-attachments/resolve", {"addon_attachment": "X", "app": "shop"})
    assert (found.status, found.json["resource"]) == (404, "add_on attachment")
    status, _, message = await refused(world, "PATCH", "/apps/shop/config-vars", {"DATABASE_URL": "x"})
    assert (status, "DATABASE_URL" in message) == (422, True)
    last = (await world.get(f"/addons/{addon['id']}/addon-attachments"))[0]
    status, _, message = await refused(world, "DELETE", f"/addon-attachments/{last['id']}")
    assert (status, "addons:destroy" in message) == (422, True)
    assert [one["name"] for one in await world.get(path)] == ["orders"]


async def test_one_that_could_not_be_had_is_told_to_whoever_waits(world: World) -> None:
    await world.create()
    provider = world.parts.addons.work.providers["fake"]
    assert isinstance(provider, FakeProvider)
    provider.gates.errors["provision"] = ProviderFailed("The disk is full.")
    made = await world.call("POST", "/apps/shop/addons", PLAN)
    await world.parts.addons.wait(await world.parts.addons.find(made.json["id"]))
    status, _, message = await refused(world, "GET", f"/apps/shop/addons/{made.json['name']}")
    assert (status, message) == (422, f"{made.json['name']} could not be provisioned: The disk is full.")
    assert await world.get("/apps/shop/addons") == []
    assert await world.get("/apps/shop/config-vars") == {}


async def test_two_that_a_name_could_mean_are_named(world: World) -> None:
    await world.create()
    names = [(await created(world))["name"] for _ in range(2)]
    answer = await world.call("POST", "/actions/addons/resolve", {"addon": "heroku-postgresql", "app": "shop"})
    assert (answer.status, answer.json["id"]) == (422, "multiple_matches")
    assert all(name in answer.json["message"] for name in names)


async def test_others_do_not_see_it(world: World) -> None:
    await world.create()
    addon = await created(world)
    other = await world.call("POST", "/paasd/accounts", {"email": "bob@example.org"})
    bob = {"Authorization": f"Bearer {other.json['token']}", "Accept": ACCEPT}
    for method, path in (
        ("GET", f"/addons/{addon['id']}"), ("GET", f"/addons/{addon['name']}/config"),
        ("GET", f"/addons/{addon['id']}/addon-attachments"), ("DELETE", f"/apps/shop/addons/{addon['id']}"),
    ):  # fmt: skip
        answer = await world.ask(method, path, headers=bob)
        assert answer.status == 404, path
    for path in ("/addons", "/addon-attachments", "/addons?state=destroyed"):
        answer = await world.ask("GET", path, headers=bob)
        assert answer.json == []


async def test_an_app_whose_add_on_another_uses_is_not_destroyed(world: World) -> None:
    """Nor are its add-ons. Bites: without `require_unshared`, the other app is left without its database."""
    await world.create()
    till = await world.create("till")
    addon = await created(world)
    made = await world.call("POST", "/addon-attachments", {"addon": addon["name"], "app": "till", "name": "ORDERS"})
    status, _, message = await refused(world, "DELETE", "/apps/shop")
    assert (status, f"{addon['name']} of shop is attached to till as ORDERS" in message) == (422, True)
    assert (await world.call("DELETE", f"/addon-attachments/{made.json['id']}")).status == 200
    assert (await world.call("DELETE", "/apps/shop")).status == 200
    await world.parts.addons.wait(await world.parts.addons.find(addon["id"]))
    assert [one.name for one in await world.parts.addons.destroyed()] == [addon["name"]]
    assert await world.get("/apps/till/config-vars") == {}
    assert till.name == "till"


async def test_an_attachment_takes_another_s_name_with_confirmation(world: World) -> None:
    """As `pg:promote` has it: one release, and never without a DATABASE_URL in between."""
    await world.create()
    await created(world)
    second = await created(world)
    body = {"addon": second["name"], "app": "shop", "name": "DATABASE"}
    assert (await refused(world, "POST", "/addon-attachments", body))[:2] == (422, "confirmation_required")
    made = await world.call("POST", "/addon-attachments", {**body, "confirm": "shop"})
    assert (made.status, made.json["addon"]["name"]) == (201, second["name"])
    names = {one["name"]: one["addon"]["name"] for one in await world.get("/apps/shop/addon-attachments")}
    assert names["DATABASE"] == second["name"]


async def test_what_has_that_name_already_keeps_it(world: World) -> None:
    """As `redis:promote` asks for it."""
    await world.create()
    addon = await created(world)
    body = {"addon": addon["name"], "app": "shop", "name": "DATABASE", "confirm": "shop"}
    made = await world.call("POST", "/addon-attachments", body)
    assert (made.status, made.json["name"]) == (201, "DATABASE")
    assert len(await world.get("/apps/shop/addon-attachments")) == 1


async def account(world: World, name: str = "bob") -> dict[str, str]:
    """The headers of an account that owns the app "bobs"."""
    other = await world.call("POST", "/paasd/accounts", {"email": f"{name}@example.org"})
    headers = {"Authorization": f"Bearer {other.json['token']}", "Accept": ACCEPT}
    assert (await world.ask("POST", "/apps", json={"name": f"{name}s"}, headers=headers)).status == 201
    return headers


async def scoped(world: World, scope: str) -> dict[str, str]:
    """The headers of a token of one scope."""
    made = await world.call("POST", "/oauth/authorizations", {"description": scope, "scope": [scope]})
    return {"Authorization": f"Bearer {made.json['access_token']['token']}", "Accept": ACCEPT}


async def test_by_an_app_of_ones_own_nobody_reaches_another_s(world: World) -> None:
    """Bites: `_named` that takes what is not attached to the app in the path for something of that app."""
    await world.create()
    addon, bob = await created(world), await account(world)
    for name in (addon["id"], addon["name"], "shop::DATABASE", "shop::heroku-postgresql"):
        for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", {})):
            answer = await world.ask(method, f"/apps/bobs/addons/{name}", json=body, headers=bob)
            assert answer.status == 404, (method, name)
        named = {"addon": name, "app": "bobs"}
        answer = await world.ask("POST", "/actions/addons/resolve", json=named, headers=bob)
        assert answer.status == 404, name
    await created(world)  # several of a service: nor are their names told
    answer = await world.ask("GET", "/apps/bobs/addons/shop::heroku-postgresql", headers=bob)
    assert answer.status == 404 and addon["name"] not in answer.json["message"]
    assert await world.get(f"/addons/{addon['id']}") == addon


async def test_whoever_is_lent_one_sees_it_and_leaves_it_as_it_is(world: World) -> None:
    """Bites: `update` and `destroy` that need no permission on the app that it belongs to."""
    await world.create()
    addon, bob = await created(world), await account(world)
    lent = {"addon": addon["name"], "app": "bobs", "name": "ORDERS"}
    assert (await world.call("POST", "/addon-attachments", lent)).status == 201
    for name in (addon["id"], "ORDERS"):
        assert (await world.ask("GET", f"/apps/bobs/addons/{name}", headers=bob)).json["id"] == addon["id"]
        for method, body in (("PATCH", {"name": "mine"}), ("PATCH", {"plan": "small"}), ("DELETE", {"force": True})):
            answer = await world.ask(method, f"/apps/bobs/addons/{name}", json=body, headers=bob)
            assert answer.status == 404, (method, name)
    assert (await world.get(f"/addons/{addon['id']}"))["name"] == addon["name"]


async def test_another_s_data_is_not_had_again_by_its_name(world: World) -> None:
    """Bites: an older one of that name judged, and the newest brought back."""
    await world.create()
    bob = await account(world)
    old = await created(world, "bobs")
    addon = await created(world)
    for path, name in (("/apps/bobs", old["name"]), ("/apps/shop", addon["name"])):
        assert (await world.call("PATCH", f"{path}/addons/{name}", {"name": "orders"})).status == 200
        gone = await world.call("DELETE", f"{path}/addons/orders")
        await world.parts.addons.wait(await world.parts.addons.find(gone.json["id"]))
    path = "/apps/bobs/addons/actions/undestroy"
    for name, status in ((addon["id"], 404), ("orders", 201)):
        answer = await world.ask("POST", path, json={"addon": name}, headers=bob)
        assert answer.status == status, (name, answer.json)
    assert answer.json["id"] == old["id"]


async def test_its_password_needs_a_scope_that_reaches_secrets(world: World) -> None:
    """As config vars do. Bites: GET /addons/{addon}/config among what the scope `read` reaches."""
    await world.create()
    addon = await created(world)
    for scope, status in (("read", 403), ("read-protected", 200)):
        answer = await world.ask("GET", f"/addons/{addon['id']}/config", headers=await scoped(world, scope))
        assert answer.status == status, scope


@pytest.mark.parametrize("scope", ["read", "write", "read-protected", "write-protected"])
async def test_its_dashboard_is_for_those_who_may_change_secrets(world: World, scope: str) -> None:
    """What opens it is good for its partner's dashboard. Bites: `web_url` whatever the token is for."""
    await world.create()
    addon, headers = await created(world), await scoped(world, scope)
    [attached] = await world.get("/addon-attachments")
    for path in (f"/addons/{addon['id']}", f"/apps/shop/addons/{addon['id']}", f"/addon-attachments/{attached['id']}"):
        answer = await world.ask("GET", path, headers=headers)
        assert answer.status == 200
        assert (answer.json["web_url"] is not None) is (scope == "write-protected"), path


async def test_a_restore_of_what_is_no_url(world: World) -> None:
    """Bites: `dump_of` that leaves yarl's ValueError to whoever asks."""
    await world.create()
    addon = await created(world)
    for url in ("http://[", "http://a:b/x", "http://a:99999999/x", "//", "nothing"):
        path = f"/client/v11/databases/{addon['id']}/restores"
        status, kind, message = await refused(world, "POST", path, {"backup_url": url})
        assert (status, kind) == (422, "invalid_params"), (url, message)
