"""`features*` and `labs*`."""

from __future__ import annotations

import json

import pytest

from .conftest import Run
from .wire import Wire

PREBOOT = {"name": "preboot", "enabled": True, "description": "d", "doc_url": "http://x", "state": "general"}
BETA = {"name": "beta", "enabled": False, "description": "b", "doc_url": "http://x", "state": "beta"}


def test_features(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/features", [PREBOOT])
    assert paas("features", "-a", "shop").stdout == "=== App Features shop\n\n[+] preboot  d\n"
    assert json.loads(paas("features", "-a", "shop", "--json").stdout) == [PREBOOT]
    wire.reply("GET", "/apps/shop/features/preboot", PREBOOT)
    assert "Enabled:" in paas("features:info", "preboot", "-a", "shop").stdout
    ran = paas("features:enable", "preboot", "-a", "shop")
    assert ran.returncode == 1 and "already enabled" in ran.stderr
    wire.reply("PATCH", "/apps/shop/features/preboot", {**PREBOOT, "enabled": False})
    ran = paas("features:disable", "preboot", "-a", "shop", "--json")
    assert ran.stderr == "Disabling preboot for shop... done\n" and not json.loads(ran.stdout)["enabled"]


@pytest.fixture
def account(wire: Wire) -> None:
    """Ann's, with one feature; her app has two."""
    wire.reply("GET", "/account", {"email": "ann@example.org"})
    wire.reply("GET", "/account/features", [BETA])
    wire.reply("GET", "/account/features/beta", BETA)
    wire.reply("GET", "/apps/shop/features", [PREBOOT, {**BETA, "name": "gamma"}])
    wire.reply("GET", "/apps/shop/features/preboot", PREBOOT)


@pytest.mark.usefixtures("account")
def test_labs_are_what_is_not_general(paas: Run) -> None:
    assert paas("labs").stdout == "=== User Features ann@example.org\n\n[ ] beta  b\n"
    assert paas("labs", "-a", "shop").stdout.endswith("\n=== App Features shop\n\n[ ] gamma  b\n")
    assert json.loads(paas("labs", "--json").stdout) == {"app": None, "user": [BETA]}


@pytest.mark.usefixtures("account")
def test_a_lab_is_the_account_s_else_the_app_s(paas: Run, wire: Wire) -> None:
    assert paas("labs:info", "beta").stdout.startswith("=== beta\n")
    assert "Enabled:     true" in paas("labs:info", "preboot", "-a", "shop").stdout
    ran = paas("labs:info", "preboot")
    assert ran.returncode == 1 and "Error ID: not_found" in ran.stderr
    wire.reply("PATCH", "/account/features/beta", {**BETA, "enabled": True})
    assert paas("labs:enable", "beta", "-a", "shop").stderr == "Enabling beta for ann@example.org... done\n"
    assert wire.asked("PATCH", "/account/features/beta")[0].body == {"enabled": True}
    wire.fail("PATCH", "/apps/shop/features/preboot", 422, "invalid_params", "preboot can't be turned off; it stays.")
    ran = paas("labs:disable", "preboot", "-a", "shop")
    assert ran.returncode == 1 and "can't be turned off" in ran.stderr
