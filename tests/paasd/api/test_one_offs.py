"""`heroku run` over the wire, up to the address to come to."""

import pytest

from paasd.api.one_offs import size_of
from paasd.domain.dyno import DynoKind
from paasd.domain.errors import InvalidParams
from paasd.services.one_off import Offer
from tests.paasd.api.world import World


async def test_attached_it_waits_at_an_address(world: World) -> None:
    await world.deployed(await world.create())
    body = {"attach": True, "command": "bash", "env": {"TERM": "xterm", "COLUMNS": 99, "LINES": 33}}
    made = await world.call("POST", "/apps/shop/dynos", body)
    assert (made.status, made.json["state"], made.json["type"], made.json["command"]) == (
        201,
        "starting",
        "run",
        "bash",
    )
    port = world.parts.public_url.rpartition(":")[2]
    prefix, _, secret = made.json["attach_url"].rpartition("/")
    assert prefix == f"rendezvous://127.0.0.1:{port}" and len(secret) == 32
    assert (await world.get(f"/apps/shop/dynos/{made.json['name']}"))["state"] == "starting"
    assert {dyno["name"] for dyno in await world.get("/apps/shop/dynos")} == {"web.1", made.json["name"]}
    offer = world.parts.one_offs.take(secret)
    assert offer is not None and offer.size == (99, 33)
    [entry] = [entry for entry in await world.get("/apps/shop/audit") if entry["path"] == "/apps/shop/dynos"]
    assert entry["detail"] == {"command": "bash"} and secret not in str(entry)


async def test_on_its_own_and_stopped(world: World) -> None:
    await world.deployed(await world.create())
    made = await world.call("POST", "/apps/shop/dynos", {"attach": False, "command": "sleep 9", "size": None})
    assert (made.status, made.json["attach_url"]) == (201, None)
    stopped = await world.call("POST", f"/apps/shop/dynos/{made.json['name']}/actions/stop")
    assert stopped.status == 202
    assert [dyno.kind for dyno in await world.engine.dynos()] == [DynoKind.FORMATION]
    assert (await world.call("POST", "/apps/shop/dynos/web.1/actions/stop")).status == 202
    assert (await world.call("POST", "/apps/shop/formations/web/actions/stop")).status == 202
    assert (await world.call("POST", "/apps/shop/dynos/run.1/actions/stop")).status == 404


async def test_inside_a_running_dyno(world: World) -> None:
    await world.deployed(await world.create())
    made = await world.call("POST", "/apps/shop/dynos/web.1", {"command": "ls", "force_no_tty": True})
    assert (made.status, made.json["name"]) == (201, "web.1")
    offer = world.parts.one_offs.take(made.json["attach_url"].rpartition("/")[2])
    assert isinstance(offer, Offer) and offer.inside and offer.size is None
    absent = await world.call("POST", "/apps/shop/dynos/web.9", {"command": "ls"})
    assert (absent.status, absent.json["resource"]) == (404, "dyno")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"command": 3},
        {"command": ""},
        {"command": "a", "env": []},
        {"command": "a", "env": {"A": []}},
        {"command": "a", "size": "huge"},
        {"command": "a", "size": 3},
    ],
)
async def test_what_can_not_be_meant(world: World, body: dict[str, object]) -> None:
    await world.deployed(await world.create())
    assert (await world.call("POST", "/apps/shop/dynos", body)).status == 422


@pytest.mark.parametrize(
    ("env", "size"),
    [
        ({"COLUMNS": "99", "LINES": 33}, (99, 33)),
        ({"COLUMNS": "00000199999999", "LINES": 10**30}, (80, 24)),
        ({"COLUMNS": "1e3", "LINES": -1}, (80, 24)),
        ({"COLUMNS": [], "LINES": None}, (80, 24)),
        (None, (80, 24)),
    ],
)
def test_the_size_of_a_terminal(env: object, size: tuple[int, int]) -> None:
    """Bites: `_extent` that looks at the first six digits alone: what it gives is no size that a terminal can have."""
    assert size_of({"env": env}) == size
    assert size_of({"env": env, "force_no_tty": True}) is None


@pytest.mark.parametrize("env", [[], "x", 7, [{"name": {}, "value": 1}]])
def test_what_no_terminal_says_of_its_size_is_refused(env: object) -> None:
    """Also of `psql`, which has no use for the rest of it. Bites: `size_of` that takes a list for an object."""
    with pytest.raises(InvalidParams, match="env must be an object"):
        size_of({"env": env})


async def test_an_app_without_code(world: World) -> None:
    await world.create()
    answer = await world.call("POST", "/apps/shop/dynos", {"command": "ls"})
    assert answer.status == 422 and "git push" in answer.json["message"]
