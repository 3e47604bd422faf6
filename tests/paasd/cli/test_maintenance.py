"""`maintenance` and its subcommands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from .conftest import Run
from .wire import Wire, app


@pytest.mark.parametrize(("state", "word"), [(True, "on"), (False, "off")])
def test_show(paas: Run, wire: Wire, state: bool, word: str) -> None:
    wire.reply("GET", "/apps/shop", app(maintenance=state))
    assert paas("maintenance", "-a", "shop").stdout == f"{word}\n"
    assert json.loads(paas("maintenance", "-a", "shop", "--json").stdout) == {"maintenance": state}


@pytest.mark.parametrize(("state", "word", "verb"), [(True, "on", "Enabling"), (False, "off", "Disabling")])
def test_turn(paas: Run, wire: Wire, state: bool, word: str, verb: str) -> None:
    wire.reply("PATCH", "/apps/shop", app(maintenance=state))
    ran = paas(f"maintenance:{word}", "-a", "shop", "--json")
    assert ran.stderr == f"{verb} maintenance mode for shop... done\n"
    assert json.loads(ran.stdout) == {"maintenance": state}
    assert wire.asked("PATCH", "/apps/shop")[0].body == {"maintenance": state}


def test_on_with_more(paas: Run, wire: Wire) -> None:
    found: dict[str, object] = {
        "maintenance": True,
        "until": None,
        "pause": 5.0,
        "allow": [],
        "health_path": None,
        "pages": [],
    }
    wire.reply("PATCH", "/apps/shop/maintenance", found)
    ran = paas("maintenance:on", "-a", "shop", "--pause", "5", "--allow", "10.0.0.0/8", "--allow", "::1")
    assert ran.stderr == "Enabling maintenance mode for shop... done\n"
    body = wire.asked("PATCH", "/apps/shop/maintenance")[0].body
    assert body == {"maintenance": True, "pause": 5.0, "allow": ["10.0.0.0/8", "::1"]}
    wire.reply("GET", "/apps/shop/maintenance", found)
    assert paas("maintenance:info", "-a", "shop").stdout == "on\npause: 5 s\n"


@pytest.mark.parametrize("text", ["30m", "2h", "23:59", "0:00", "2099-01-31T14:30:00Z", "2099-01-31T14:30"])
def test_times(paas: Run, wire: Wire, text: str) -> None:
    wire.reply("PATCH", "/apps/shop/maintenance", {})
    assert paas("maintenance:on", "-a", "shop", "--until", text).returncode == 0
    until = datetime.fromisoformat(wire.asked("PATCH", "/apps/shop/maintenance")[0].body["until"])
    assert until.tzinfo is not None and until > datetime.now(UTC)


@pytest.mark.parametrize("text", ["soon", "25:00", "30", "m"])
def test_times_that_are_none(paas: Run, wire: Wire, text: str) -> None:
    ran = paas("maintenance:on", "-a", "shop", "--until", text)
    assert ran.returncode == 1 and "is no time" in ran.stderr and not wire.seen


def test_bypass(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/apps/shop/maintenance/bypass", {"url": "http://shop.localhost:8080/.paasd/bypass/1.a/"})
    ran = paas("maintenance:bypass", "-a", "shop", "--for", "2h")
    assert ran.stdout == "http://shop.localhost:8080/.paasd/bypass/1.a/\n"
    assert wire.asked("POST", "/apps/shop/maintenance/bypass")[0].body == {"seconds": 7200.0, "path": "/"}
    assert paas("maintenance:bypass", "-a", "shop", "--for", "ages").returncode == 1


@pytest.mark.parametrize(
    ("command", "kind"), [("maintenance:page", "maintenance"), ("maintenance:error-page", "error")]
)
def test_pages(paas: Run, wire: Wire, tmp_path: Path, command: str, kind: str) -> None:
    file = tmp_path / "page.html"
    file.write_text('"<h1>soon</h1>"')  # the stand-in reads JSON
    wire.reply("PUT", f"/apps/shop/{kind}-page", {})
    assert paas(command, "-a", "shop", str(file)).returncode == 0
    (seen,) = wire.asked("PUT", f"/apps/shop/{kind}-page")
    assert seen.headers["Content-Type"] == "text/html; charset=utf-8" and seen.body == "<h1>soon</h1>"
    wire.reply("DELETE", f"/apps/shop/{kind}-page", {})
    assert paas(command, "-a", "shop", "--clear").returncode == 0
    assert paas(command, "-a", "shop", str(file), "--clear").returncode == 1
    assert paas(command, "-a", "shop", "absent.html").returncode == 1
