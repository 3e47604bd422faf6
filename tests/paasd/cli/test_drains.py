"""`drains` and its subcommands: Heroku's words for where the log goes."""

from __future__ import annotations

import json

from .conftest import Run
from .wire import Wire

DRAIN = {"id": "1", "url": "https://logs.example.org/a", "token": "d.1"}


def test_list_add_remove(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/log-drains", [DRAIN])
    assert paas("drains", "-a", "shop").stdout == "=== Drains\n\nhttps://logs.example.org/a (d.1)\n"
    assert json.loads(paas("drains", "-a", "shop", "--json").stdout) == [DRAIN]
    wire.reply("GET", "/apps/shop/log-drains", [])
    assert "has no log drains" in paas("drains", "-a", "shop").stdout
    wire.reply("POST", "/apps/shop/log-drains", DRAIN, status=201)
    said = paas("drains:add", "https://logs.example.org/a", "-a", "shop").stdout
    assert said == "Successfully added drain https://logs.example.org/a\n"
    assert wire.asked("POST", "/apps/shop/log-drains")[0].body == {"url": "https://logs.example.org/a"}
    path = "/apps/shop/log-drains/https%3A%2F%2Flogs.example.org%2Fa"
    wire.reply("DELETE", path, DRAIN)
    said = paas("drains:remove", "https://logs.example.org/a", "-a", "shop").stdout
    assert said == "Successfully removed drain https://logs.example.org/a\n"
    assert len(wire.asked("DELETE", path)) == 1
