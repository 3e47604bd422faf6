"""`maintenance`, `maintenance:on` and `maintenance:off`."""

from __future__ import annotations

import json

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
