"""`apps:diff`."""

from __future__ import annotations

import json

from .conftest import Run
from .wire import Wire


def app(wire: Wire, name: str, commit: str | None, config: dict[str, str]) -> None:
    wire.reply("GET", f"/apps/{name}", {"name": name, "stack": {"name": "paasd-bookworm"}})
    wire.reply("GET", f"/apps/{name}/config-vars", config)
    wire.reply("GET", f"/apps/{name}/releases", [{"version": 3, "slug": {"id": "s"} if commit else None}])
    wire.reply("GET", f"/apps/{name}/slugs/s", {"commit": commit})


def test_what_differs_is_shown_and_nothing_else(paas: Run, wire: Wire) -> None:
    app(wire, "shop", "0123abcd", {"SAME": "1", "MODE": "live"})
    app(wire, "staging", None, {"SAME": "1", "MODE": "test", "EXTRA": "x"})
    assert paas("apps:diff", "shop", "staging").stdout.splitlines() == [
        "Property        shop      staging",
        "config (EXTRA)  [none]    x",
        "config (MODE)   live      test",
        "slug (commit)   0123abcd  [none]",
    ]
    found = json.loads(paas("apps:diff", "shop", "staging", "--json").stdout)
    assert found[0] == {"property": "config (EXTRA)", "shop": None, "staging": "x"}
    assert paas("apps:diff", "shop", "shop").stdout == "shop and shop have no differences.\n"
