"""`ps:scale`, `ps:restart`, `ps:stop`."""

from __future__ import annotations

import json

import pytest

from .conftest import Run
from .wire import Wire

WEB = {"type": "web", "quantity": 2, "size": "Standard-1X"}
WORKER = {"type": "worker", "quantity": 0, "size": "Standard-1X"}
ON_SHOP = ("-a", "shop")


def test_scale_absolute_and_relative_and_with_a_size(paas: Run, wire: Wire) -> None:
    wire.reply("PATCH", "/apps/shop/formation", [WEB, WORKER])
    ran = paas("ps:scale", "web=2", "worker-1", "clock+1:Performance-M", *ON_SHOP)
    assert "Scaling dynos of shop... done, now running web at 2, worker at 0" in ran.stderr
    assert wire.asked("PATCH", "/apps/shop/formation")[0].body == {
        "updates": [
            {"type": "web", "quantity": "2"},
            {"type": "worker", "quantity": "-1"},
            {"type": "clock", "quantity": "+1", "size": "Performance-M"},
        ]
    }


def test_what_runs_is_shown(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/formation", [WORKER, WEB])
    assert paas("ps:scale", *ON_SHOP).stdout == "web=2:Standard-1X\nworker=0:Standard-1X\n"
    assert json.loads(paas("ps:scale", "--json", *ON_SHOP).stdout) == [WORKER, WEB]


@pytest.mark.parametrize("text", ["web", "web=", "web=two", "=2", "web=2:"])
def test_what_is_no_change_is_refused_before_anything_is_asked(paas: Run, wire: Wire, text: str) -> None:
    ran = paas("ps:scale", text, *ON_SHOP)
    assert (ran.returncode, f"{text} is no change: write web=2, web+1 or web-1." in ran.stderr) == (1, True)
    assert wire.asked("PATCH", "/apps/shop/formation") == []


@pytest.mark.parametrize(
    ("which", "where"),
    [((), "/apps/shop/dynos"), (("web.1",), "/apps/shop/dynos/web.1"), (("web",), "/apps/shop/formations/web")],
)
def test_restart(paas: Run, wire: Wire, which: tuple[str, ...], where: str) -> None:
    wire.reply("DELETE", where, {}, status=202)
    assert paas("ps:restart", *which, *ON_SHOP).returncode == 0
    assert len(wire.asked("DELETE", where)) == 1


@pytest.mark.parametrize(
    ("which", "where"),
    [("run.1", "/apps/shop/dynos/run.1/actions/stop"), ("web", "/apps/shop/formations/web/actions/stop")],
)
def test_stop(paas: Run, wire: Wire, which: str, where: str) -> None:
    wire.reply("POST", where, {}, status=202)
    assert paas("ps:stop", which, *ON_SHOP).returncode == 0
    assert len(wire.asked("POST", where)) == 1


def test_sizes_are_shown_and_changed_of_one_type_or_all(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/formation", [WORKER, WEB])
    wire.reply("PATCH", "/apps/shop/formation", [WEB, WORKER])
    table = "=== Process Types\n\nType    Size         Qty\nweb     Standard-1X  2\nworker  Standard-1X  0\n"
    assert paas("ps:type", *ON_SHOP).stdout == table
    assert paas("ps:type", "web=performance-m", *ON_SHOP).stdout == table
    assert paas("ps:resize", "standard-2x", *ON_SHOP).returncode == 0
    assert [asked.body["updates"] for asked in wire.asked("PATCH", "/apps/shop/formation")] == [
        [{"type": "web", "size": "performance-m"}],
        [{"type": "worker", "size": "standard-2x"}, {"type": "web", "size": "standard-2x"}],
    ]
    ran = paas("ps:type", "web=", *ON_SHOP)
    assert (ran.returncode, "web= names no size" in ran.stderr) == (1, True)
