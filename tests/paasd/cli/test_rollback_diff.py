"""`rollback --diff`."""

from __future__ import annotations

import json

from .conftest import Run
from .test_releases import LIST, ON_SHOP, ledger
from .wire import EXTENDED, Wire, release


def test_what_a_rollback_would_change_is_shown_by_name(paas: Run, wire: Wire) -> None:
    """Bites: show a value."""
    wire.reply("GET", LIST, ledger())
    wire.reply("GET", f"{LIST}/2", release(2))
    for version, sha in ((2, "1" * 40), (3, "9" * 40)):
        there = {
            "commit": {"sha": sha, "subject": f"Change {version}"},
            "image": "sha256:a",
            "process_types": {"web": "x"},
        }
        wire.reply("GET", f"{LIST}/{version}?extended=true", release(version, extended={**EXTENDED, **there}))
    wire.reply("GET", "/apps/shop/config-vars", {"A": "hunter2", "B": "same", "C": "hunter3"})
    wire.reply("GET", f"{LIST}/2/config-vars", {"A": "hunter4", "B": "same", "D": "hunter5"})
    ran = paas("rollback", "v2", "--diff", *ON_SHOP)
    assert ran.stdout.splitlines()[0] == "=== From v3 to v2"
    assert "Commit: 99999999 Change 3 -> 11111111 Change 2" in ran.stdout
    assert "Config: +D, -C, ~A" in ran.stdout.replace("  ", " ")
    assert "hunter" not in ran.stdout
    assert wire.asked("POST", LIST) == []
    told = json.loads(paas("rollback", "v2", "--diff", "--config-only", "--json", *ON_SHOP).stdout)
    assert told == {"from": 3, "to": 2, "code": {}, "config": {"added": ["D"], "removed": ["C"], "changed": ["A"]}}
