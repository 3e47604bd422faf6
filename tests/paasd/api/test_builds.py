"""Builds and slugs over the wire."""

import uuid
from datetime import UTC, datetime

from paasd.domain.release import Build, BuildStatus
from tests.paasd.api.world import World


async def test_a_build_that_became_a_release(world: World) -> None:
    app = await world.create()
    release = await world.deployed(app)
    await world.call("PATCH", "/apps/shop/config-vars", {"A": "b"})
    await world.settled(app)
    [build] = await world.get("/apps/shop/builds", Range="created_at ..; max=15, order=desc")
    assert build == await world.get(f"/apps/shop/builds/{build['id']}")
    assert build["release"] == {"id": release.id}
    assert build["slug"] == {"id": build["id"]}
    assert build["source_blob"]["version"] == "9f3c21ab" * 5
    slug = await world.get(f"/apps/shop/slugs/{build['id']}")
    assert slug["process_types"] == {"web": "serve", "worker": "work"}
    assert (slug["commit"], slug["size"]) == ("9f3c21ab" * 5, 123_456)


async def test_a_build_under_way_is_no_slug(world: World) -> None:
    app = await world.create()
    now = datetime.now(UTC)
    build = Build(str(uuid.uuid4()), app.id, BuildStatus.PENDING, world.actor, None, now, now)
    await world.store.insert_build(build)
    shown = await world.get(f"/apps/shop/builds/{build.id}")
    assert (shown["status"], shown["slug"], shown["release"]) == ("pending", None, None)
    assert shown["output_stream_url"].startswith(world.parts.public_url)
    assert (await world.call("GET", f"/apps/shop/slugs/{build.id}")).json["resource"] == "slug"
    refused = await world.call("POST", "/apps/shop/releases", {"slug": build.id})
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")


async def test_unknown_builds(world: World) -> None:
    app = await world.create("shop")
    await world.create("other")
    build = await world.built(app)
    for path in ("/apps/shop/builds/nope", "/apps/shop/slugs/nope", f"/apps/other/builds/{build.id}"):
        assert (await world.call("GET", path)).status == 404
    assert (await world.call("POST", "/apps/other/releases", {"slug": build.id})).status == 404


async def test_newest_builds_page_by_page_in_the_same_second(world: World) -> None:
    """Bites: an order by the seconds that are shown, then by id."""
    app = await world.create()
    made: list[str] = []
    for at in range(7):
        begun = datetime(2026, 11, 27, 12, 0, 0, at * 100_000, tzinfo=UTC)
        build = Build(str(uuid.uuid4()), app.id, BuildStatus.FAILED, world.actor, None, begun, begun)
        await world.store.insert_build(build)
        made.append(build.id)
    seen: list[str] = []
    wanted: str | None = "created_at ..; max=3, order=desc"
    while wanted:
        answer = await world.call("GET", "/apps/shop/builds", Range=wanted)
        seen += [build["id"] for build in answer.json]
        wanted = answer.header("Next-Range")
    assert seen == made[::-1]


async def test_a_build_that_is_over_can_not_be_cancelled(world: World) -> None:
    app = await world.create()
    build = await world.built(app)
    answer = await world.call(
        "DELETE", f"/apps/shop/builds/{build.id}", Accept="application/vnd.heroku+json; version=3.cancel-build"
    )
    assert (answer.status, answer.json["id"]) == (409, "conflict")
    assert "it is succeeded" in answer.json["message"]
    assert (await world.call("DELETE", f"/apps/shop/builds/{uuid.uuid4()}")).status == 404


async def test_purging_the_build_cache_tells_what_went(world: World) -> None:
    await world.create()
    answer = await world.call("DELETE", "/apps/shop/build-cache")
    assert (answer.status, answer.json["app"]["name"], answer.json["bytes"]) == (200, "shop", 0)
    assert (await world.call("DELETE", "/apps/absent/build-cache")).status == 404
