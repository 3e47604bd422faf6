"""What there is one or none of, so that clients' commands go on."""

import pytest

from tests.paasd.api.world import World


@pytest.mark.parametrize(
    "path",
    [
        "/addons",
        "/addon-attachments",
        "/pipelines",
        "/teams",
        "/account/features",
        "/account/keys",
        "/apps/shop/addons",
        "/apps/shop/addon-attachments",
        "/apps/shop/features",
        "/apps/shop/buildpack-installations",
        "/apps/shop/log-drains",
        "/apps/shop/sni-endpoints",
    ],
)
async def test_none(world: World, path: str) -> None:
    await world.create()
    answer = await world.call("GET", path)
    assert (answer.status, answer.json, answer.header("Next-Range")) == (200, [], None)


async def test_no_pipeline_and_no_team(world: World) -> None:
    await world.create()
    answer = await world.call("GET", "/apps/shop/pipeline-couplings")
    assert (answer.status, answer.json["id"], answer.json["resource"]) == (404, "not_found", "pipeline_coupling")
    assert (await world.call("GET", "/teams/acme")).json["resource"] == "team"
    assert (await world.call("GET", "/teams/acme/apps")).status == 404


async def test_the_owner_is_the_only_collaborator(world: World) -> None:
    await world.create()
    [collaborator] = await world.get("/apps/shop/collaborators")
    assert (collaborator["user"]["email"], collaborator["role"]) == ("owner@example.org", "owner")


async def test_region_and_stack_are_those_of_the_app(world: World) -> None:
    await world.create()
    app = await world.get("/apps/shop")
    [region], [stack] = await world.get("/regions"), await world.get("/stacks")
    assert {key: region[key] for key in ("id", "name")} == app["region"]
    assert {key: stack[key] for key in ("id", "name")} == app["stack"] == app["build_stack"]
