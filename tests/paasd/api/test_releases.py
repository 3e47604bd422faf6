"""The ledger over the wire."""

from typing import Any

import pytest

from paasd.domain.release import ProcessTypes
from tests.paasd.api.world import World

WITH_COMMAND = ProcessTypes({"web": "serve"}, "migrate")


async def versions(world: World, header: str) -> list[int]:
    return [release["version"] for release in await world.get("/apps/shop/releases", Range=header)]


async def ledger_of(world: World, count: int) -> None:
    await world.create()
    for number in range(2, count + 1):
        await world.call("PATCH", "/apps/shop/config-vars", {"N": str(number)})


async def test_every_literal_header_of_the_clients(world: World) -> None:
    await ledger_of(world, 18)
    everything = list(range(1, 19))
    assert await versions(world, "version ..; max=15, order=desc") == everything[::-1][:15]
    assert await versions(world, "version ..; order=desc,max=1") == [18]
    assert await versions(world, "version ..; max=1, order=desc") == [18]
    assert await versions(world, "version ..; order=desc") == everything[::-1]
    assert await versions(world, "id ..; max=1000;") == everything
    assert await versions(world, "seq ..; order=desc,max=1000") == everything[::-1]
    assert await versions(world, "created_at ..; max=15, order=desc") == everything[::-1][:15]
    assert await versions(world, "id ..; ;") == everything
    assert await versions(world, "domain ..; ;") == everything
    assert await versions(world, "") == everything
    assert await versions(world, "version ]3..6[; max=5") == [4, 5]
    assert await versions(world, "version 6..3; order=desc") == [6, 5, 4, 3]
    assert await versions(world, "version ]18..") == []


@pytest.mark.parametrize(
    "header", ["version ..; max=5", "id ..; max=5", "version ..; max=5, order=desc", "id ..; max=5, order=desc"]
)
async def test_following_next_range_sees_each_release_once(world: World, header: str) -> None:
    await ledger_of(world, 12)
    seen: list[int] = []
    wanted: str | None = header
    pages = 0
    while wanted:
        answer = await world.call("GET", "/apps/shop/releases", Range=wanted)
        seen += [release["version"] for release in answer.json]
        wanted = answer.header("Next-Range")
        assert answer.status == (206 if wanted else 200)
        assert answer.header("Accept-Ranges") == "version, id"
        assert str(answer.header("Content-Range")).startswith(header.split()[0])
        pages += 1
    assert pages == 3
    assert seen == (list(range(12, 0, -1)) if "desc" in header else list(range(1, 13)))


@pytest.mark.parametrize(
    "header",
    ["version ..; max=abc", "version ..; max=0", "version ..; order=up", "version x..", "id 7..", "version ..; max=-1"],
)
async def test_a_range_that_can_not_be_read(world: World, header: str) -> None:
    await world.create()
    answer = await world.call("GET", "/apps/shop/releases", Range=header)
    assert (answer.status, answer.json["id"]) == (416, "requested_range_not_satisfiable")


async def test_one_release_by_version_or_id(world: World) -> None:
    app = await world.create()
    first = await world.get("/apps/shop/releases/1")
    assert (first["description"], first["status"], first["slug"]) == ("Initial release", "succeeded", None)
    assert (first["current"], first["eligible_for_rollback"]) == (True, False)
    assert first["user"] == {"id": world.owner.id, "email": "owner@example.org"}
    for name in ("v1", first["id"]):
        assert await world.get(f"/apps/{app.id}/releases/{name}") == first


@pytest.mark.parametrize("name", ["v99", "99", "9" * 30, "x", "-1", "0", "v", "%00", "1.5"])
async def test_unknown_release(world: World, name: str) -> None:
    await world.create()
    for path in (f"/apps/shop/releases/{name}", f"/apps/shop/releases/{name}/config-vars"):
        answer = await world.call("GET", path)
        assert (answer.status, answer.json["id"], answer.json["resource"]) == (404, "not_found", "release")
    if name != "%00":
        answer = await world.call("POST", "/apps/shop/releases", {"release": name})
        assert (answer.status, answer.json["resource"]) == (404, "release")


async def test_config_of_each_release_is_kept(world: World) -> None:
    await ledger_of(world, 3)
    assert await world.get("/apps/shop/releases/1/config-vars") == {}
    assert await world.get("/apps/shop/releases/2/config-vars") == {"N": "2"}
    assert await world.get("/apps/shop/releases/v3/config-vars") == {"N": "3"}


async def test_rollback(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    await world.call("PATCH", "/apps/shop/config-vars", {"A": "b"})
    await world.settled(app)
    target = await world.get("/apps/shop/releases/2")
    for release in (target["id"], "v2", 2):
        answer = await world.call("POST", "/apps/shop/releases", {"release": release})
        assert (answer.status, answer.json["description"]) == (201, "Rollback to v2")
        await world.settled(app)
    listed = await world.get("/apps/shop/releases", Range="version ..; order=desc")
    assert [release["version"] for release in listed if release["current"]] == [6]
    assert {release["slug"]["id"] for release in listed if release["slug"]} == {target["slug"]["id"]}
    assert await world.get("/apps/shop/config-vars") == {}


async def test_what_can_not_be_rolled_back_to(world: World) -> None:
    app = await world.create()
    initial = await world.call("POST", "/apps/shop/releases", {"release": "v1"})
    assert (initial.status, initial.json["id"]) == (422, "invalid_params")
    await world.deployed(app)
    world.engine.release_code = 1
    world.engine.printed.put_nowait(None)
    failed = await world.deployed(app, WITH_COMMAND)
    assert failed.status.value == "failed"
    answer = await world.call("POST", "/apps/shop/releases", {"release": failed.id})
    assert (answer.status, answer.json["id"]) == (422, "invalid_params")
    shown = await world.get(f"/apps/shop/releases/{failed.version}")
    assert (shown["current"], shown["eligible_for_rollback"], shown["status"]) == (False, False, "failed")


@pytest.mark.parametrize(
    "body", [{}, {"release": None}, {"release": True}, {"release": ["v1"]}, {"slug": 7}, {"release": "v1", "slug": "x"}]
)
async def test_a_release_of_nothing(world: World, body: dict[str, object]) -> None:
    await world.create()
    answer = await world.call("POST", "/apps/shop/releases", body)
    assert (answer.status, answer.json["id"]) == (422, "invalid_params")


async def test_a_second_release_at_once_is_told_who_holds_the_app(world: World) -> None:
    app = await world.create()
    build = await world.built(app, WITH_COMMAND)
    answer = await world.call("POST", "/apps/shop/releases", {"slug": build.id, "description": "Retry"})
    assert (answer.json["status"], answer.json["current"], answer.json["description"]) == ("pending", False, "Retry")
    for method, path, body in (
        ("PATCH", "/apps/shop/config-vars", {"A": "b"}),
        ("POST", "/apps/shop/releases", {"slug": build.id}),
    ):
        refused = await world.call(method, path, body)
        assert (refused.status, refused.json["id"], refused.json["app"]) == (409, "conflict", {"name": "shop"})
        assert "v2" in refused.json["message"]
    world.engine.printed.put_nowait(None)
    await world.settled(app)
    assert (await world.get("/apps/shop/releases/2"))["current"]


async def test_extended(world: World) -> None:
    app = await world.create()
    await world.call("PATCH", "/apps/shop/config-vars", {"SECRET": "hunter2"})
    world.engine.release_code = 3
    world.engine.printed.put_nowait(None)
    release = await world.deployed(app, WITH_COMMAND)
    shown: dict[str, Any] = await world.get("/apps/shop/releases/3?extended=true")
    extended = shown["extended"]
    assert extended["commit"] == {
        "sha": "9f3c21ab" * 5, "author": "Ada <ada@example.org>", "subject": "Sell more",
    }  # fmt: skip
    assert extended["image"] == release.artifact
    assert extended["process_types"] == {"web": "serve", "release": "migrate"}
    assert extended["formation"] == {"web": 1}
    assert extended["exit_code"] == 3
    assert "migrate" in extended["failure"]
    stages = [stage["stage"] for stage in extended["stages"]]
    assert (stages[0], stages[-1], extended["stages"][-1]["detail"]) == ("record", "failed", extended["failure"])
    assert extended["user"] == {"email": "owner@example.org", "token": "owner", "address": "127.0.0.1"}
    assert extended["diff"]["against"] == 2
    assert extended["diff"]["process_types"] == {"added": ["release", "web"], "removed": [], "changed": []}
    assert (extended["diff"]["image_changed"], extended["diff"]["commit_changed"]) == (True, True)
    before = await world.get("/apps/shop/releases/2?extended=true")
    assert before["extended"]["diff"]["config"] == {"added": ["SECRET"], "removed": [], "changed": []}
    assert "hunter2" not in str(before)
    listed = await world.get("/apps/shop/releases?extended=true")
    assert [entry["extended"]["slug_id"] for entry in listed] == [None, None, release.build_id]
