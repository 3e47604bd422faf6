"""`config`, `config:get`, `config:set`, `config:unset`."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import Run
from .wire import EXTENDED, Wire, release

VARS = "/apps/shop/config-vars"
LIST = "/apps/shop/releases"
ON_SHOP = ("-a", "shop")
ODD = 'it\'s "$HOME" `x`\nsecond line'


def test_show(paas: Run, wire: Wire) -> None:
    wire.reply("GET", VARS, {"LONGER": "2", "A": "1"})
    assert paas("config", *ON_SHOP).stdout == "=== shop Config Vars\n\nA:      1\nLONGER: 2\n"
    assert json.loads(paas("config", *ON_SHOP, "--json").stdout) == {"A": "1", "LONGER": "2"}


def test_shell_form_survives_a_shell(paas: Run, wire: Wire) -> None:
    wire.reply("GET", VARS, {"ODD": ODD, "EMPTY": "", "PLAIN": "a/b"})
    text = paas("config", "--shell", *ON_SHOP).stdout
    shell = subprocess.run(["sh", "-c", f'{text}\nprintf %s "$ODD"'], capture_output=True, text=True)
    assert shell.stdout == ODD
    assert "PLAIN=a/b\n" in text


def test_get(paas: Run, wire: Wire) -> None:
    wire.reply("GET", VARS, {"ODD": ODD, "A": "1"})
    assert paas("config:get", "ODD", *ON_SHOP).stdout == ODD + "\n"
    assert paas("config:get", "A", "NONE", *ON_SHOP).stdout == "1\n\n"
    assert json.loads(paas("config:get", "A", *ON_SHOP, "-j").stdout) == {"key": "A", "value": "1"}
    assert json.loads(paas("config:get", "A", "NONE", *ON_SHOP, "-j").stdout)[1] == {"key": "NONE", "value": None}


@pytest.mark.parametrize("name", ["config:set", "config:add"])
def test_set_waits_until_it_is_served(paas: Run, wire: Wire, name: str) -> None:
    wire.reply("GET", LIST, [release(2)], [release(3, status="pending")])
    wire.reply("PATCH", VARS, {"A": "1", "GREETING": "hello=you", "EMPTY": ""})
    wire.reply("GET", f"{LIST}/3", release(3, status="pending"), release(3))
    ran = paas(name, "GREETING=hello=you", "EMPTY=", *ON_SHOP)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "Setting GREETING, EMPTY and restarting shop... done, v3\n"
    assert ran.stdout.splitlines() == ["EMPTY:   ", "GREETING: hello=you"] or "GREETING: hello=you" in ran.stdout
    assert wire.asked("PATCH", VARS)[0].body == {"GREETING": "hello=you", "EMPTY": ""}
    assert len(wire.asked("GET", f"{LIST}/3")) == 2


def test_unset(paas: Run, wire: Wire) -> None:
    wire.reply("GET", LIST, [release(3)], [release(4)])
    wire.reply("PATCH", VARS, {"A": "1"})
    ran = paas("config:unset", "GREETING", "--json", *ON_SHOP)
    assert ran.stderr == "Unsetting GREETING and restarting shop... done, v4\n"
    assert json.loads(ran.stdout) == {"A": "1"}
    assert wire.asked("PATCH", VARS)[0].body == {"GREETING": None}


def test_a_change_whose_release_fails(paas: Run, wire: Wire) -> None:
    before, failed = release(2, current=True), release(3, status="failed")
    wire.reply("GET", LIST, [before], [release(3, status="pending")], [failed, before])
    wire.reply("PATCH", VARS, {"GREETING": "s3cret"})
    wire.reply("GET", f"{LIST}/3", failed)
    extended = {**EXTENDED, "failure": "the release command ended with exit status 1"}
    wire.reply("GET", f"{LIST}/3?extended=true", {**failed, "extended": extended})
    ran = paas("config:set", "GREETING=s3cret", *ON_SHOP)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "v3 failed: the release command ended with exit status 1; your app still runs v2." in ran.stderr
    assert "s3cret" not in ran.stderr


def test_a_change_that_makes_no_release(paas: Run, wire: Wire) -> None:
    wire.reply("GET", LIST, [release(2, status="failed")])
    wire.reply("PATCH", VARS, {"A": "1"})
    ran = paas("config:set", "A=1", *ON_SHOP)
    assert (ran.returncode, ran.stderr) == (0, "Setting A and restarting shop... done, nothing to change since v2\n")


@pytest.mark.parametrize("pair", ["s3cret", "=s3cret"])
def test_not_a_pair(paas: Run, wire: Wire, pair: str) -> None:
    ran = paas("config:set", pair, *ON_SHOP)
    assert ran.returncode == 2
    assert "KEY=VALUE" in ran.stderr
    assert "s3cret" not in ran.stderr
    assert not wire.asked("PATCH", VARS)
