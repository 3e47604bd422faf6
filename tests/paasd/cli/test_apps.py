"""`apps`, `apps:create|info|destroy`, `open`, `whoami`, and how the app is found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import Run
from .wire import Wire, app


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout


def test_list(paas: Run, wire: Wire) -> None:
    wire.reply(
        "GET",
        "/apps",
        [app("shop", region={"id": "r", "name": "local"}), app("blog", region={"id": "r", "name": "home"})],
    )
    wire.reply("GET", "/account", {"email": "owner@localhost"})
    assert paas("apps").stdout == "=== owner@localhost Apps\n\nblog (home)\nshop\n"
    assert [entry["name"] for entry in json.loads(paas("apps", "--json").stdout)] == ["blog", "shop"]


def test_no_apps(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps", [])
    assert paas("apps").stdout == "You have no apps.\n"
    assert json.loads(paas("apps", "-j").stdout) == []


@pytest.mark.parametrize("words", [["apps:create"], ["create"], ["apps", "create"]])
def test_create_outside_a_repository(paas: Run, wire: Wire, words: list[str]) -> None:
    wire.reply("POST", "/apps", app(), status=201)
    ran = paas(*words, "shop")
    assert ran.stderr == "Creating shop... done\n"
    assert ran.stdout == "http://shop.localhost:8080/ | https://127.0.0.1:5500/shop.git\n"
    assert wire.asked("POST", "/apps")[0].body == {"name": "shop"}


def test_create_makes_the_remotes(paas: Run, wire: Wire, repository: Path) -> None:
    wire.reply("POST", "/apps", app("calm-river-12"), status=201)
    ran = paas("apps:create", "--json")
    assert ran.stderr == "Creating app... done, calm-river-12\n"
    assert json.loads(ran.stdout)["name"] == "calm-river-12"
    assert wire.asked("POST", "/apps")[0].body == {}
    assert git(repository, "remote").split() == ["heroku", "paasd"]


def test_create_without_a_remote(paas: Run, wire: Wire, repository: Path) -> None:
    wire.reply("POST", "/apps", app(), status=201)
    assert paas("apps:create", "shop", "--no-remote").returncode == 0
    assert git(repository, "remote") == ""


def test_create_refused(paas: Run, wire: Wire, repository: Path) -> None:
    wire.fail("POST", "/apps", 422, "invalid_params", "Name Shop must start with a letter.")
    ran = paas("apps:create", "Shop")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        "Creating Shop... !",
        " ›   Error: Name Shop must start with a letter.",
        " ›",
        " ›   Error ID: invalid_params",
    ]
    assert git(repository, "remote") == ""


def test_info(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop", app(maintenance=True))
    wire.reply("GET", "/apps/shop/addons", [])
    wire.reply("GET", "/apps/shop/collaborators", [{"user": {"email": "owner@localhost"}}])
    wire.reply("GET", "/apps/shop/dynos", [{"type": "web"}, {"type": "web"}, {"type": "worker"}])
    lines = paas("apps:info", "-a", "shop").stdout.splitlines()
    assert lines[:2] == ["=== shop", ""]
    found = {name: value.strip() for name, _, value in (line.partition(":") for line in lines[2:])}
    assert found == {
        "Auto Cert Mgmt": "false",
        "Git URL": "https://127.0.0.1:5500/shop.git",
        "Web URL": "http://shop.localhost:8080/",
        "Maintenance": "on",
        "Repo Size": "4 KB",
        "Slug Size": "50 MB",
        "Owner": "owner@localhost",
        "Region": "us",
        "Dynos": "web: 2, worker: 1",
        "Stack": "bookworm",
    }
    assert json.loads(paas("info", "-a", "shop", "--json").stdout)["app"]["name"] == "shop"


def test_destroy_and_its_remotes(paas: Run, wire: Wire, repository: Path) -> None:
    wire.reply("GET", "/apps/shop", app())
    wire.reply("GET", "/apps/shop/addons", [])
    wire.reply("DELETE", "/apps/shop", app())
    assert paas("git:remote", "-a", "shop").returncode == 0
    git(repository, "remote", "add", "origin", "https://example.org/shop.git")
    ran = paas("apps:destroy", "--confirm", "shop")
    assert (ran.returncode, ran.stderr) == (0, "Destroying shop (including all add-ons)... done\n")
    assert git(repository, "remote") == "origin\n"


def test_destroy_needs_the_name_again(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop", app())
    wire.reply("GET", "/apps/shop/addons", [{"name": "orders"}])
    wrong = paas("apps:destroy", "shop", "--confirm", "blog")
    assert wrong.returncode == 1
    assert "Confirmation blog did not match shop: nothing was destroyed." in wrong.stderr
    missing = paas("apps:destroy", "-a", "shop")
    assert missing.returncode == 1
    assert "add --confirm shop" in missing.stderr
    assert "Its add-ons go with it, their data is kept for 7 days: orders\n" in missing.stderr
    assert not wire.asked("DELETE", "/apps/shop")


@pytest.mark.parametrize(
    ("where", "url"),
    [
        ("", "http://shop.localhost:8080/"),
        ("/admin?x=1", "http://shop.localhost:8080/admin?x=1"),
        ("//example.org/", "http://shop.localhost:8080/example.org/"),
    ],
)
def test_open_prints_and_opens(paas: Run, wire: Wire, tmp_path: Path, where: str, url: str) -> None:
    wire.reply("GET", "/apps/shop", app())
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    ran = paas("open", *([where] if where else []), "-a", "shop", BROWSER=str(browser))
    assert ran.stdout == f"Opening {url}...\n"
    assert (tmp_path / "opened").read_text() == url


def test_open_as_json_opens_nothing(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop", app())
    assert json.loads(paas("open", "-a", "shop", "--json", BROWSER="/bin/false").stdout) == {
        "url": "http://shop.localhost:8080/"
    }


def test_whoami(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/account", {"email": "owner@localhost"})
    assert paas("whoami").stdout == "owner@localhost\n"
    assert json.loads(paas("whoami", "--json").stdout) == {"email": "owner@localhost"}
