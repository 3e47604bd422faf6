"""`builds`, `builds:info`, `builds:output` and `builds:cancel`."""

from __future__ import annotations

import json
from typing import Any

from .conftest import Run
from .wire import Wire

ID = "1f00c0de-0000-4000-8000-000000000001"
NEWEST = "/apps/shop/builds"


def build(status: str = "pending", **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "status": status,
        "source_blob": {"version": "9f3c21ab" * 5},
        "user": {"email": "ann@example.org"},
        "created_at": "2026-01-01T06:00:00Z",
        "release": None,
        "failure": None,
        **more,
    }


def test_list(paas: Run, wire: Wire) -> None:
    wire.reply("GET", NEWEST, [build()])
    out = paas("builds", "-a", "shop").stdout
    assert "shop Builds" in out
    assert all(word in out for word in (ID, "pending", "9f3c21ab", "ann@example.org"))
    assert wire.asked("GET", NEWEST)[0].headers["Range"] == "created_at ..; max=15, order=desc"


def test_info_says_why_it_failed(paas: Run, wire: Wire) -> None:
    wire.reply("GET", f"{NEWEST}/{ID}", build("failed", failure="Cancelled by bob@example.org."))
    out = paas("builds:info", ID, "-a", "shop").stdout
    assert "Cancelled by bob@example.org." in out


def test_output(paas: Run, wire: Wire) -> None:
    wire.reply("GET", NEWEST, [build(output_stream_url=f"{wire.url}/streams/x")])
    wire.text("/streams/x", b"-----> building\n")
    assert paas("builds:output", "-a", "shop").stdout == "-----> building\n"


def test_cancel_takes_the_one_that_runs(paas: Run, wire: Wire) -> None:
    """Whatever began after it and has ended, cancelled while it waited. Bites: `_running` as the first of the list."""
    wire.reply("GET", NEWEST, [build("succeeded", id=ID.replace("1f", "ff")), build()])
    wire.reply("DELETE", f"{NEWEST}/{ID}", build("failed"))
    ran = paas("builds:cancel", "-a", "shop", "--json")
    assert ran.stderr == f"Stopping build {ID} on shop... done\n"
    assert json.loads(ran.stdout)["status"] == "failed"


def test_nothing_to_cancel(paas: Run, wire: Wire) -> None:
    wire.reply("GET", NEWEST, [build("succeeded")])
    ran = paas("builds:cancel", "-a", "shop")
    assert ran.returncode == 1
    assert "No build of shop is running" in ran.stderr


def test_purge_the_cache(paas: Run, wire: Wire) -> None:
    wire.reply("DELETE", "/apps/shop/build-cache", {"app": {"id": "1", "name": "shop"}, "bytes": 25_026_037})
    assert paas("builds:cache:purge", "-a", "shop").stderr == "Purging build cache of shop... 25 MB\n"
