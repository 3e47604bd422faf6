"""Formation and dynos over the wire."""

from dataclasses import replace

import pytest

from paasd.api.dynos import quantity_after
from paasd.api.resources import dyno_resource
from paasd.domain.access import ALL_PERMISSIONS, Scope
from paasd.domain.dyno import Exit
from paasd.domain.errors import InvalidParams
from tests.paasd.api.people import person, share
from tests.paasd.api.world import World


async def test_formation(world: World) -> None:
    app = await world.create()
    assert await world.get("/apps/shop/formation") == []
    await world.deployed(app)
    formation = await world.get("/apps/shop/formation", Range="type ..")
    assert [(entry["type"], entry["quantity"], entry["command"]) for entry in formation] == [
        ("web", 1, "serve"),
        ("worker", 0, "work"),
    ]
    assert {entry["size"] for entry in formation} == {entry["dyno_size"]["name"] for entry in formation}
    assert await world.get("/apps/shop/formation/worker") == formation[1]


async def test_scaling_as_the_clients_send_it(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    for asked, expected in (("3", 3), ("+1", 4), ("-2", 2), (5, 5)):
        update = {"type": "worker", "quantity": asked, "size": "standard-1x"}
        answer = await world.call("PATCH", "/apps/shop/formation", {"updates": [update]})
        assert [(entry["type"], entry["quantity"]) for entry in answer.json] == [("worker", expected)]
    answer = await world.call("PATCH", "/apps/shop/formation/worker", {"quantity": 1, "size": None})
    assert (answer.status, answer.json["quantity"]) == (200, 1)
    answer = await world.call("PATCH", "/apps/shop/formation/worker", {"size": "Standard-1X"})
    assert (answer.status, answer.json["quantity"]) == (200, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"updates": {}}, 422),
        ({"updates": ["web"]}, 422),
        ({"updates": [{"quantity": 1}]}, 422),
        ({"updates": [{"type": "web", "quantity": "many"}]}, 422),
        ({"updates": [{"type": "web", "quantity": -1}]}, 422),
        ({"updates": [{"type": "web", "quantity": "-2"}]}, 422),
        ({"updates": [{"type": "web", "quantity": 1.5}]}, 422),
        ({"updates": [{"type": "web", "quantity": "9" * 5000}]}, 422),
        ({"updates": [{"type": "web", "quantity": 10**30}]}, 422),
        ({"updates": [{"type": "web", "quantity": 1, "size": "Performance-L"}]}, 422),
        ({"updates": [{"type": "web", "quantity": 1, "dyno_size": {"name": "Performance-L"}}]}, 422),
        ({"updates": [{"type": "worker", "quantity": 1}, {"type": "nope", "quantity": 1}]}, 404),
    ],
)
async def test_what_can_not_be_scaled(world: World, body: dict[str, object], status: int) -> None:
    app = await world.create()
    await world.deployed(app)
    before = await world.get("/apps/shop/formation")
    assert (await world.call("PATCH", "/apps/shop/formation", body)).status == status
    assert await world.get("/apps/shop/formation") == before


def test_quantities() -> None:
    assert [quantity_after(2, asked) for asked in (0, 7, "0", "7", "+1", "-1", "-2")] == [0, 7, 0, 7, 3, 1, 0]
    for wrong in (True, None, "", "x", "1.0", -1, "-3", "+-1", "١"):
        with pytest.raises(InvalidParams):
            quantity_after(2, wrong)


async def test_dynos_of_the_served_release(world: World) -> None:
    app = await world.create()
    assert await world.get("/apps/shop/dynos") == []
    release = await world.deployed(app)
    [dyno] = await world.get("/apps/shop/dynos?extended=true")
    assert (dyno["name"], dyno["type"], dyno["state"], dyno["command"]) == ("web.1", "web", "up", "serve")
    assert dyno["release"] == {"id": release.id, "version": 2}
    assert (dyno["extended"]["port"], dyno["extended"]["reason"]) == (5000, None)
    [up] = await world.engine.dynos()
    down = dyno_resource(replace(up, exit=Exit(3)), app, extended=True)
    assert down["extended"]["reason"] == "exited with status 3"
    shown = await world.get("/apps/shop/dynos/web.1")
    assert shown == await world.get(f"/apps/shop/dynos/{dyno['id']}")
    assert "extended" not in shown
    assert (await world.call("GET", "/apps/shop/dynos/web.7")).json["resource"] == "dyno"


@pytest.mark.parametrize("path", ["dynos", "dynos/web.1", "dynos/{id}", "dynos/web", "formations/web"])
async def test_restart(world: World, path: str) -> None:
    app = await world.create()
    await world.deployed(app)
    [before] = await world.get("/apps/shop/dynos")
    answer = await world.call("DELETE", f"/apps/shop/{path.format(id=before['id'])}")
    assert (answer.status, answer.json) == (202, {})
    [after] = await world.get("/apps/shop/dynos")
    assert (after["name"], after["id"] != before["id"]) == ("web.1", True)


async def test_restart_of_what_is_not_there(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    for path in ("dynos/web.7", "dynos/nope", "formations/nope"):
        answer = await world.call("DELETE", f"/apps/shop/{path}")
        assert (answer.status, answer.json["id"]) == (404, "not_found")


async def test_an_engine_that_is_down(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    world.engine.down = True
    answer = await world.call("GET", "/apps/shop/dynos")
    assert (answer.status, answer.json["id"]) == (503, "service_unavailable")
    assert await world.get("/apps/shop/releases")


async def test_an_image_is_released_by_its_name(world: World) -> None:
    app = await world.create()
    updates = [
        {"type": "web", "docker_image": "nginx:1"},
        {"type": "worker", "docker_image": "nginx:1", "command": "x"},
    ]
    answer = await world.call("PATCH", "/apps/shop/formation", {"updates": updates})
    assert answer.status == 200, answer.json
    assert {entry["type"]: (entry["command"], entry["quantity"]) for entry in answer.json} == {
        "web": ("", 1), "worker": ("x", 0),
    }  # fmt: skip
    await world.settled(app)
    release = (await world.get("/apps/shop/releases"))[-1]
    assert (release["version"], release["description"], release["status"]) == (2, "Deploy nginx:1", "succeeded")
    newest = (await world.store.audit(app_id=app.id))[0]
    assert newest.detail["docker_image"] == "nginx:1"


async def test_an_image_that_can_not_be_meant(world: World) -> None:
    await world.create()
    web: dict[str, object] = {"type": "web", "docker_image": "nginx:1"}
    for updates, status in (
        ([{**web, "docker_image": "nothing:1"}], 404),
        ([web, {"type": "worker", "docker_image": "nginx:2"}], 422),
        ([web, {"type": "worker", "quantity": 2}], 422),
        ([{**web, "quantity": 2}], 422),
        ([{"docker_image": "nginx:1"}], 422),
        ([{**web, "docker_image": 7}], 422),
    ):
        answer = await world.call("PATCH", "/apps/shop/formation", {"updates": updates})
        assert (answer.status, updates) == (status, updates)
    assert len(await world.get("/apps/shop/releases")) == 1


async def test_an_image_needs_the_scope_of_a_release(world: World) -> None:
    """Bites: `require` in `_deploy_image` without the scope: what a token for `write` starts could tell config vars."""
    app = await world.create()
    body = {"updates": [{"type": "web", "docker_image": "nginx:1", "command": "env"}]}
    for scope, status in ((Scope.WRITE, 403), (Scope.WRITE_PROTECTED, 200)):
        ann = await person(world, f"ann-{scope.value}@example.org", [scope])
        await share(world, app, ann, *ALL_PERMISSIONS)
        assert (await ann.call("PATCH", "/apps/shop/formation", body)).status == status


async def test_sizes(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    bodies: list[dict[str, object]] = [
        {"updates": [{"type": "web", "size": "standard-2x"}]},
        {"updates": [{"type": "web", "dyno_size": {"name": "Standard-2X"}, "quantity": "+0"}]},
    ]
    for body in bodies:
        (entry,) = (await world.call("PATCH", "/apps/shop/formation", body)).json
        assert (entry["size"], entry["dyno_size"]["name"], entry["quantity"]) == ("Standard-2X", "Standard-2X", 1)
    assert (await world.call("PATCH", "/apps/shop/formation/web", {"size": "standard-1x"})).json[
        "size"
    ] == "Standard-1X"
    for wrong in ("huge", 7, {"name": 7}, {"id": "none"}):
        answer = await world.call("PATCH", "/apps/shop/formation", {"updates": [{"type": "web", "size": wrong}]})
        assert answer.status == 422
    nameless: list[object] = [{}, {"name": None}]
    for each in nameless:  # bites: an object without a name taken for no size
        answer = await world.call("PATCH", "/apps/shop/formation", {"updates": [{"type": "web", "dyno_size": each}]})
        assert answer.status == 422
