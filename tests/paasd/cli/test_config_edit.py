"""`config:edit`, with an editor that is a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run
from .wire import Wire

VARS = "/apps/shop/config-vars"


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """One that does what `tmp_path/script` says to the file."""
    program = tmp_path / "editor"
    program.write_text(f'#!/bin/sh\nexec sed -i -f {tmp_path / "script"} "$1"\n')
    program.chmod(0o700)
    return program


def test_what_was_changed_is_named_asked_for_and_sent(paas: Run, wire: Wire, editor: Path, tmp_path: Path) -> None:
    before = {"GREETING": "hello", "GONE": "1", "SECRET": "s3cret"}
    wire.reply("GET", VARS, before)
    wire.reply("PATCH", VARS, {})
    wire.reply("GET", "/apps/shop/releases", [{"version": 2}], [{"version": 3, "status": "succeeded"}])
    (tmp_path / "script").write_text("s/hello/bye/\n/GONE/d\n")
    refused = paas("config:edit", "-a", "shop", stdin="n\n", EDITOR=str(editor))
    assert (refused.returncode, wire.asked("PATCH", VARS)) == (1, [])
    ran = paas("config:edit", "-a", "shop", stdin="y\n", EDITOR=str(editor))
    assert "- GONE\n~ GREETING\n" in ran.stderr and "s3cret" not in ran.stderr + ran.stdout
    assert "done, v3" in ran.stderr
    assert wire.asked("PATCH", VARS)[0].body == {"GONE": None, "GREETING": "bye"}


def test_one_value(paas: Run, wire: Wire, editor: Path, tmp_path: Path) -> None:
    wire.reply("GET", VARS, {"GREETING": "hello"})
    wire.reply("PATCH", VARS, {})
    wire.reply("GET", "/apps/shop/releases", [{"version": 2}], [{"version": 3, "status": "succeeded"}])
    (tmp_path / "script").write_text("s/hello/bye/\n")
    assert paas("config:edit", "GREETING", "--yes", "-a", "shop", EDITOR=str(editor)).returncode == 0
    assert wire.asked("PATCH", VARS)[0].body == {"GREETING": "bye"}


@pytest.mark.parametrize(
    ("script", "words"), [("s/[{]//", "That is not JSON"), ('s/"hello"/3/', "a JSON object of strings")]
)
def test_what_is_no_config_changes_nothing(
    paas: Run, wire: Wire, editor: Path, tmp_path: Path, script: str, words: str
) -> None:
    wire.reply("GET", VARS, {"GREETING": "hello"})
    (tmp_path / "script").write_text(script + "\n")
    ran = paas("config:edit", "--yes", "-a", "shop", EDITOR=str(editor))
    assert ran.returncode == 1 and words in ran.stderr
    assert wire.asked("PATCH", VARS) == []


def test_nothing_changed(paas: Run, wire: Wire) -> None:
    wire.reply("GET", VARS, {"GREETING": "hello"})
    assert paas("config:edit", "-a", "shop", EDITOR="true").stdout == "No changes to config vars.\n"
