"""`regions`, `apps:stacks` and `buildpacks`."""

from __future__ import annotations

import pytest

from .conftest import Run
from .wire import Wire, app

PATH = "/apps/shop/buildpack-installations"


def installed(*names: str) -> list[dict[str, object]]:
    return [{"buildpack": {"name": name, "url": name}, "ordinal": number} for number, name in enumerate(names)]


def test_regions_and_stacks(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/regions", [{"name": "local", "description": "This machine"}])
    assert paas("regions").stdout.splitlines()[1].split("  ") == ["local", "This machine", "Common Runtime"]
    wire.reply("GET", "/stacks", [{"name": "paasd-bookworm"}])
    wire.reply("GET", "/apps/shop", {**app(), "stack": {"name": "paasd-bookworm"}})
    assert paas("stack", "-a", "shop").stdout == "=== shop Available Stacks\n\n* paasd-bookworm\n"


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (("add", "b/two"), ["a/one", "b/two"]),
        (("add", "b/two", "-i", "1"), ["b/two", "a/one"]),
        (("set", "b/two"), ["b/two"]),
        (("remove", "a/one"), []),
        (("clear",), []),
    ],
)
def test_buildpacks(paas: Run, wire: Wire, command: tuple[str, ...], sent: list[str]) -> None:
    wire.reply("GET", PATH, installed("a/one"))
    wire.reply("PUT", PATH, installed(*sent))
    ran = paas(f"buildpacks:{command[0]}", *command[1:], "-a", "shop")
    assert ran.returncode == 0, ran.stderr
    assert wire.asked("PUT", PATH)[0].body == {"updates": [{"buildpack": name} for name in sent]}
    assert ran.stdout.splitlines()[1:] == [f"{number}. {name}" for number, name in enumerate(sent, 1)]


def test_buildpacks_are_listed_and_not_named_twice(paas: Run, wire: Wire) -> None:
    wire.reply("GET", PATH, installed("a/one"))
    assert paas("buildpacks", "-a", "shop").stdout == "=== shop Buildpack\n\n1. a/one\n"
    assert "already" in paas("buildpacks:add", "a/one", "-a", "shop").stderr
    assert "not in the list" in paas("buildpacks:remove", "b/two", "-a", "shop").stderr
    wire.reply("GET", PATH, [])
    assert paas("buildpacks", "-a", "shop").stdout == "shop has no Buildpacks.\n"


def test_a_stack_is_chosen(paas: Run, wire: Wire) -> None:
    wire.reply("PATCH", "/apps/shop", {"name": "shop"})
    ran = paas("stack:set", "paasd-bookworm", "-a", "shop")
    assert "Setting stack to paasd-bookworm... done\nYou will need to redeploy shop" in ran.stderr
    assert wire.asked("PATCH", "/apps/shop")[0].body == {"build_stack": "paasd-bookworm"}
