"""Which app is meant."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import Run
from .wire import Wire, app


@pytest.fixture(autouse=True)
def both(wire: Wire) -> None:
    wire.reply("GET", "/apps/shop", app())
    wire.reply("GET", "/apps/blog", app("blog", maintenance=True))


def add(repository: Path, name: str, url: str) -> None:
    subprocess.run(["git", "remote", "add", name, url], cwd=repository, check=True)


def test_from_the_git_remotes(paas: Run, wire: Wire, repository: Path) -> None:
    add(repository, "heroku", f"https://{wire.host}/blog.git")
    add(repository, "origin", "https://github.com/me/shop.git")
    assert paas("maintenance").stdout == "on\n"


def test_below_the_top_directory(paas: Run, wire: Wire, repository: Path, environment: dict[str, str]) -> None:
    add(repository, "paasd", f"http://{wire.host}/blog.git")
    (repository / "deep").mkdir()
    ran = paas("maintenance", GIT_DIR=str(repository / ".git"))
    assert ran.stdout == "on\n"


def test_several_apps_are_named(paas: Run, wire: Wire, repository: Path) -> None:
    add(repository, "heroku", f"https://{wire.host}/blog.git")
    add(repository, "staging", f"https://{wire.host}/shop.git")
    ran = paas("maintenance")
    assert ran.returncode == 1
    assert "belong to several apps (blog, shop): choose one with -a APP" in ran.stderr
    assert paas("maintenance", "-r", "staging").stdout == "off\n"
    assert paas("maintenance", HEROKU_APP="blog").stdout == "on\n"
    assert paas("maintenance", "-a", "shop", HEROKU_APP="blog").stdout == "off\n"
    assert "no git remote production" in paas("maintenance", "-r", "production").stderr


def test_none(paas: Run, repository: Path) -> None:
    ran = paas("maintenance")
    assert ran.returncode == 1
    assert "pass -a APP" in ran.stderr


def test_a_name_is_encoded(paas: Run, wire: Wire) -> None:
    assert paas("maintenance", "-a", "../account?x").returncode == 1
    assert wire.seen[-1].target == "/apps/..%2Faccount%3Fx"
