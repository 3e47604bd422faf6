"""`auth:login` and `auth:logout`: a token of one's own in ~/.netrc."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from paasd.cli import netrc
from paasd.cli.netrc import Login

from .conftest import Run
from .wire import TOKEN, Wire

OWN = "ann-s-token"
MADE = {"id": "a1", "access_token": {"token": OWN}}
ANN = {"email": "ann@example.org"}


@pytest.fixture
def file(environment: dict[str, str]) -> Path:
    return Path(environment["HOME"]) / ".netrc"


def test_with_a_password(paas: Run, wire: Wire, file: Path) -> None:
    wire.reply("POST", "/oauth/authorizations", MADE, status=201)
    wire.reply("GET", "/account", ANN)
    ran = paas("login", "-i", "-e", "3600", stdin="ann@example.org\npassw0rd\n")
    assert (ran.returncode, ran.stdout) == (0, "Logged in as ann@example.org\n"), ran.stderr
    [asked] = wire.asked("POST", "/oauth/authorizations")
    assert base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")) == b"ann@example.org:passw0rd"
    assert asked.body == {"description": "paas auth:login", "expires_in": 3600, "scope": ["global"]}
    assert netrc.find(file, wire.host) == Login("ann@example.org", OWN)
    assert OWN not in ran.stderr and "passw0rd" not in ran.stderr + file.read_text()
    paas("whoami")
    assert wire.seen[-1].headers["Authorization"] == f"Bearer {OWN}"


def test_in_a_browser_however_long_it_takes(paas: Run, wire: Wire, file: Path, tmp_path: Path) -> None:
    begun = {"browser_url": "/auth/browser/s", "cli_url": "/auth/cli/s", "token": "waiter"}
    wire.reply("POST", "/auth", begun)
    wire.reply("GET", "/auth/cli/s", {"error": "Nobody yet."}, {"access_token": OWN})
    wire.reply("GET", "/account", ANN)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    ran = paas("auth:login", "--json", BROWSER=str(browser))
    assert json.loads(ran.stdout) == ANN, ran.stderr
    assert (tmp_path / "opened").read_text() == f"{wire.url}/auth/browser/s\n"
    assert [asked.headers["Authorization"] for asked in wire.asked("GET", "/auth/cli/s")] == ["Bearer waiter"] * 2
    assert netrc.find(file, wire.host) == Login("ann@example.org", OWN)


def test_refused(paas: Run, wire: Wire, file: Path) -> None:
    wire.fail("POST", "/oauth/authorizations", 401, "unauthorized", "Wrong e-mail address or password; try again.")
    ran = paas("login", "-i", stdin="ann@example.org\nwr0ng\n")
    assert ran.returncode == 1
    assert "Wrong e-mail address or password; try again." in ran.stderr and "wr0ng" not in ran.stderr
    ran = paas("login", HEROKU_API_KEY=TOKEN)
    assert ran.returncode == 1 and "HEROKU_API_KEY is set" in ran.stderr
    assert "add -i" in paas("login", "-e", "9").stderr
    assert not file.exists()


@pytest.mark.parametrize("session", [False, True])
def test_logging_out_ends_the_token_of_either_kind(paas: Run, wire: Wire, file: Path, session: bool) -> None:
    netrc.keep(file, wire.host, Login("ann@example.org", OWN))
    if session:
        wire.reply("DELETE", "/oauth/sessions/~", {"id": "s1"})
    else:
        wire.fail("DELETE", "/oauth/sessions/~", 404, "not_found", "None.", resource="session")
        wire.reply("DELETE", "/oauth/authorizations/~", MADE)
    assert paas("logout").stderr == "Logging out... done\n"
    assert wire.seen[-1].headers["Authorization"] == f"Bearer {OWN}"
    assert netrc.find(file, wire.host) is None
    ran = paas("logout")
    assert ran.returncode == 1 and "There is no login" in ran.stderr


def test_logging_out_with_a_token_that_ended(paas: Run, wire: Wire, file: Path) -> None:
    netrc.keep(file, wire.host, Login("ann@example.org", OWN))
    wire.fail("DELETE", "/oauth/sessions/~", 401, "unauthorized", "No.")
    assert paas("logout").returncode == 0
    assert netrc.find(file, wire.host) is None


def test_not_told_when_it_could_not_be_ended(paas: Run, wire: Wire, file: Path) -> None:
    netrc.keep(file, wire.host, Login("ann@example.org", OWN))
    wire.fail("DELETE", "/oauth/sessions/~", 503, "service_unavailable", "Later.")
    assert paas("logout").returncode == 1
    assert netrc.find(file, wire.host) is not None
