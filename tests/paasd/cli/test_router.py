"""`router status|stop|upgrade`."""

from __future__ import annotations

import json

import pytest

from .conftest import Run
from .wire import Wire

STATE = {
    "status": "up",
    "pid": 4711,
    "listen": "127.0.0.1:8080",
    "table": 12,
    "started_at": "2026-01-01T06:00:00Z",
}


@pytest.mark.parametrize("words", [["router", "status"], ["router:status"], ["router"]])
def test_status(paas: Run, wire: Wire, words: list[str]) -> None:
    wire.reply("GET", "/paasd/router", STATE)
    assert paas(*words).stdout.splitlines()[2:] == [
        "Status:     up",
        "Pid:        4711",
        "Listens on: 127.0.0.1:8080",
        "Table:      12",
        "Started:    2026/01/01 06:00:00 +0000",
    ]
    assert json.loads(paas(*words, "--json").stdout) == STATE


@pytest.mark.parametrize(("word", "verb"), [("stop", "Stopping"), ("upgrade", "Upgrading")])
def test_actions(paas: Run, wire: Wire, word: str, verb: str) -> None:
    gone = {"status": "down", "pid": None, "listen": None, "table": None, "started_at": None}
    wire.reply("POST", f"/paasd/router/{word}", gone)
    ran = paas("router", word)
    assert ran.stderr == f"{verb} the router... done\n"
    assert ran.stdout.splitlines()[2:] == ["Status: down"]
