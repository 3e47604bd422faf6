"""Who may do what: accounts, collaborators, tokens, keys, logins."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop
from tests.daemon import Shell

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(240)]


def test_who_i_am(heroku: Terminal, shop: Shop) -> None:
    assert heroku("whoami") == "owner@localhost\n"
    assert heroku("auth:token") == f"{shop.daemon.token}\n"


def test_collaborators(heroku: Terminal, shop: Shop) -> None:
    shop.shell.run("paas", "accounts:create", "bob@example.org")
    assert "owner@localhost" in heroku("access")
    assert heroku("access:add", "bob@example.org").endswith("done\n")
    assert re.search(r"bob@example\.org +collaborator", heroku("access"))
    assert heroku("access:remove", "bob@example.org").endswith("done\n")
    assert "Error ID: not_found" in heroku("access:add", "nobody@example.org", code=2)


def test_tokens(heroku: Terminal) -> None:
    made = heroku("authorizations:create", "-d", "ci", "-s", "read", "-e", "3600")
    found = re.search(r"ID: +(\S+)", made)
    assert found
    assert re.search(rf"ci +{found[1]} +read", heroku("authorizations"))
    assert "Description: ci" in heroku("authorizations:info", found[1])
    heroku("authorizations:update", found[1], "-d", "laptop")
    assert "laptop" in heroku("authorizations:info", found[1])
    heroku("authorizations:rotate", found[1])
    assert "done" in heroku("authorizations:revoke", found[1])
    assert "Error ID: not_found" in heroku("authorizations:info", found[1], code=2)
    assert heroku("sessions") == "No OAuth sessions.\n"


def test_logins_with_password_and_browser_and_their_end(heroku: Terminal, shop: Shop, tmp_path: Path) -> None:
    """Whoever sits at the browser is a program that fills in the form. Bites: refuse the right password."""
    shop.daemon.call("PATCH", "/account", {"password": "correct horse battery"})
    without = ("HEROKU_API_KEY",)
    answers = {"Email": "owner@localhost\r", "Password": "correct horse battery\r"}
    said = heroku.typed("login", "-i", answers=answers, without=without)
    assert "Logged in as owner@localhost" in said
    browser = tmp_path / "browser"
    form = "email=owner%40localhost&password=correct+horse+battery"
    browser.write_text(f'#!/bin/sh\nexec curl -s -o /dev/null -H "Origin: {shop.daemon.url}" -d "{form}" "$1"\n')
    browser.chmod(0o755)
    said = heroku.typed("login", "--browser", str(browser), answers={"Press any key": "y"}, without=without)
    assert "Logged in as owner@localhost" in said
    sessions = shop.daemon.call("GET", "/oauth/sessions")[1]
    assert len(sessions) == 1
    assert sessions[0]["id"] in heroku("sessions")
    assert "done" in heroku("sessions:destroy", sessions[0]["id"])
    assert "Logging out" in heroku.typed("logout", answers={}, without=without)


def test_paas_and_heroku_know_of_each_other_s_login(heroku: Terminal, shop: Shop) -> None:
    """Both keep it in ~/.netrc. Bites: look for the home's token first."""
    shop.daemon.call("PATCH", "/account", {"password": "correct horse battery"})
    environment = {name: value for name, value in shop.shell.env.items() if name != "HEROKU_API_KEY"}
    shell = Shell(shop.shell.home, shop.shell.cwd, environment)
    answers = {"Email": "owner@localhost\r", "Password": "correct horse battery\r"}
    said = heroku.typed("login", "-i", answers=answers, without=("HEROKU_API_KEY",), program="paas")
    assert "Logged in as owner@localhost" in said
    assert "correct horse" not in said
    token = shell.run("paas", "auth:token").strip()
    assert token != shop.daemon.token
    assert token in [line.split()[-1] for line in (shop.shell.home / ".netrc").read_text().splitlines()]
    assert shell.run("heroku", "whoami") == "owner@localhost\n"
    assert shell.run("heroku", "auth:token").split()[-1] == token  # a warning of its end goes before it
    shell.run("paas", "logout")
    assert token not in (shop.shell.home / ".netrc").read_text()
    assert shell.run("paas", "auth:token").strip() == shop.daemon.token
    said = heroku.typed("login", "-i", answers=answers, without=("HEROKU_API_KEY",))
    assert shell.run("paas", "auth:token").strip() != shop.daemon.token
    assert "Logging out" in heroku.typed("logout", answers={}, without=("HEROKU_API_KEY",))


def test_keys(heroku: Terminal, shop: Shop) -> None:
    key = shop.shell.home / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann@laptop", "-f", str(key)], check=True)
    assert heroku("keys:add", f"{key}.pub").endswith("SSH key... done\n")
    assert "ann@laptop" in heroku("keys")
    assert heroku("keys:remove", "ann@laptop").endswith("done\n")
    heroku("keys:add", f"{key}.pub")
    assert heroku("keys:clear") == "Removing all SSH keys... done\n"
