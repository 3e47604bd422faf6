"""Host names in one spelling, and in the table."""

import pytest

from paasd.domain.errors import InvalidParams, NotFound
from paasd.services.domains import Domains, normalize
from tests.paasd.services.world import World


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("WWW.Example.ORG", "www.example.org"),
        ("www.example.org.", "www.example.org"),
        ("*.Example.org.", "*.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("ｗｗｗ。example．org", "www.example.org"),
        ("еxample.org", "xn--xample-2of.org"),  # a Cyrillic letter: another name, and it shows
    ],
)
def test_one_spelling(text: str, name: str) -> None:
    assert normalize(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.org..",
        "http://a.org",
        "a.org:80",
        "a.org/x",
        "a b.org",
        "a.org\n",
        "xn--a.org",
        "a@b.org",
        "127.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "localhost",
        "１２７.0.0.1",
        "*",
        "**.a.org",
        "\x00.org",
        "a\u2028b.org",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        normalize(text)
    assert "\n" not in refused.value.message and refused.value.message.endswith(".")


def hosts(world: World) -> tuple[str, ...]:
    return world.plane.table.routes[0].hosts


async def test_they_are_served_while_they_are_there_and_renames_keep_them(world: World) -> None:
    app = await world.deployed()
    domains = Domains(world.store, world.routing, world.logs, "localhost")
    www = await domains.add(world.actor, app, "WWW.example.org")
    assert hosts(world) == ("shop.localhost", "www.example.org")
    await world.routing.publish_all()
    await world.apps.rename(world.actor, app, "store")
    assert hosts(world) == ("store.localhost", "www.example.org")
    await world.apps.set_maintenance(world.actor, app, True)
    await domains.add(world.actor, app, "*.example.org")
    assert hosts(world) == ("store.localhost", "*.example.org", "www.example.org")
    assert world.plane.table.routes[0].maintenance
    assert await domains.find(app, "www.EXAMPLE.org.") == await domains.find(app, www.id) == www
    await domains.remove(world.actor, app, www)
    assert hosts(world) == ("store.localhost", "*.example.org")
    with pytest.raises(NotFound):
        await domains.find(app, "www.example.org")


async def test_a_router_that_is_down_learns_of_it_later(world: World) -> None:
    app = await world.deployed()
    domains = Domains(world.store, world.routing, world.logs, "localhost")
    world.plane.stop()
    await domains.add(world.actor, app, "www.example.org")
    world.plane.start()
    await world.routing.publish_all()
    assert world.plane.table.routes[0].hosts == ("shop.localhost", "www.example.org")


async def test_a_name_that_is_in_the_zone_by_now_does_not_stop_the_table(world: World) -> None:
    """Bites: with both in it, the router refuses the table, and with it every app's next release."""
    app, blog = await world.deployed(), await world.create("blog")
    await Domains(world.store, world.routing, world.logs, "example.org").add(world.actor, app, "blog.localhost")
    await world.routing.publish_all()
    assert {route.name: route.hosts for route in world.plane.table.routes} == {
        "shop": ("shop.localhost",),
        blog.name: ("blog.localhost",),
    }
