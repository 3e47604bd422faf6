"""Reading a repository's remotes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from paasd.cli.repository import Repository, credential_helper
from paasd.cli.settings import Settings

HOST = "127.0.0.1:5500"


@pytest.fixture
def here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(repository)
    return Repository.required()


@pytest.mark.parametrize(
    ("url", "app"),
    [
        (f"http://{HOST}/shop.git", "shop"),
        (f"https://{HOST}/shop.git", "shop"),
        (f"https://heroku:x@{HOST}/shop.git", "shop"),
        (f"http://{HOST}/shop", None),
        (f"http://{HOST}/a/shop.git", None),
        ("http://127.0.0.1:5501/shop.git", None),
        (f"http://{HOST}.example.org/shop.git", None),
        (f"http://example.org/{HOST}/shop.git", None),
        (f"http://{HOST}@example.org/shop.git", None),
        ("git@github.com:me/shop.git", None),
    ],
)
def test_which_urls_are_apps(here: Repository, url: str, app: str | None) -> None:
    subprocess.run(["git", "remote", "add", "origin", url], check=True)
    assert here.apps(HOST) == ({"origin": app} if app else {})


def test_elsewhere(directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(directory)
    assert Repository.here() is None


def test_a_daemon_elsewhere_has_no_home_to_carry() -> None:
    helper = credential_helper(Settings("http://10.0.0.1:5500", "t", "HEROKU_API_KEY", None))
    assert helper.startswith("!")
    assert helper.endswith(" git:credentials")
