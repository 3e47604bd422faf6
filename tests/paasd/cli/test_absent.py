"""`addons`, `certs` and `pipelines`."""

from __future__ import annotations

from .conftest import Run
from .wire import Wire


def test_none(paas: Run, wire: Wire) -> None:
    for target in ("/apps/shop/addons", "/apps/shop/sni-endpoints", "/pipelines"):
        wire.reply("GET", target, [])
    assert paas("addons", "-a", "shop").stdout == "No add-ons for app shop.\n"
    assert paas("certs", "-a", "shop").stdout == "shop has no SSL certificates.\n"
    assert paas("pipelines").stdout.startswith("=== My Pipelines\n")
    assert paas("pipelines", "--json").stdout == "[]\n"


def test_some(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/addons", [{"name": "b"}, {"name": "a"}])
    assert paas("addons", "-a", "shop").stdout == "a, b\n"
