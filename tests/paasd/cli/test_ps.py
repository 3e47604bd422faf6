"""`ps`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Run
from .wire import Wire

ALL = "/apps/shop/dynos?extended=true"


def dyno(name: str, state: str = "up", command: str = "gunicorn shop") -> dict[str, Any]:
    kind = name.split(".")[0]
    return {
        "name": name,
        "type": kind,
        "state": state,
        "size": "Basic",
        "command": command,
        "updated_at": "2026-01-01T06:00:00Z",
    }


@pytest.fixture(autouse=True)
def dynos(wire: Wire) -> None:
    found = [dyno("web.10"), dyno("web.2", "crashed"), dyno("run.77", command="sh"), dyno("worker.1", command="w")]
    found[1]["extended"] = {"reason": "exited with status 3"}
    wire.reply("GET", ALL, found)


def test_grouped_as_heroku_groups_them(paas: Run) -> None:
    assert paas("ps", "-a", "shop").stdout == (
        "=== run: one-off processes (1)\n\n"
        "run.77 (Basic): up 2026/01/01 06:00:00 +0000: sh\n\n"
        "=== web (Basic): gunicorn shop (2)\n\n"
        "web.2: crashed 2026/01/01 06:00:00 +0000, exited with status 3\n"
        "web.10: up 2026/01/01 06:00:00 +0000\n\n"
        "=== worker (Basic): w (1)\n\n"
        "worker.1: up 2026/01/01 06:00:00 +0000\n\n"
    )


def test_by_type(paas: Run) -> None:
    assert [d["name"] for d in json.loads(paas("ps", "web", "-a", "shop", "--json").stdout)] == ["web.2", "web.10"]
    ran = paas("ps", "clock", "-a", "shop")
    assert ran.returncode == 1
    assert "No clock dynos on shop" in ran.stderr


def test_none(paas: Run, wire: Wire) -> None:
    wire.reply("GET", ALL, [])
    assert paas("ps", "-a", "shop").stdout == "No dynos on shop\n"


def test_waiting_for_the_newest_release(paas: Run, wire: Wire) -> None:
    """One-off dynos run what they began with. Bites: leave `state` out of what is waited for, or wait for v5, which
    has failed."""
    releases = [{"version": 5, "status": "failed"}, {"version": 4, "status": "succeeded"}]
    wire.reply("GET", "/apps/shop/releases", releases)
    old = {**dyno("run.77"), "release": {"version": 2}}
    states = [("up", 3), ("starting", 4), ("up", 4)]
    wire.reply(
        "GET",
        "/apps/shop/dynos",
        *([old, {**dyno("web.1", state), "release": {"version": version}}] for state, version in states),
    )
    ran = paas("ps:wait", "-w", "0.1", "-a", "shop")
    assert ran.stderr == "Waiting for every dyno to be running v4... 1 / 1, done\n"
    assert len(wire.asked("GET", "/apps/shop/dynos")) == 3
