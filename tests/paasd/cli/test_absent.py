"""`certs` and `pipelines`."""

from __future__ import annotations

from .conftest import Run
from .wire import Wire


def test_none(paas: Run, wire: Wire) -> None:
    for target in ("/apps/shop/sni-endpoints", "/pipelines"):
        wire.reply("GET", target, [])
    assert paas("certs", "-a", "shop").stdout == "shop has no SSL certificates.\n"
    assert paas("pipelines").stdout.startswith("=== My Pipelines\n")
    assert paas("pipelines", "--json").stdout == "[]\n"
