"""`git:remote` and `git:credentials`, with real git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PAAS, Run
from .wire import TOKEN, Wire, app

Git = Callable[..., str]


@pytest.fixture
def git(repository: Path, environment: dict[str, str]) -> Git:
    def run(*arguments: str, stdin: str = "") -> str:
        ran = subprocess.run(
            ["git", *arguments],
            cwd=repository,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout

    return run


@pytest.fixture(autouse=True)
def shop(wire: Wire) -> None:
    wire.reply("GET", "/apps/shop", app())


def test_the_remotes_and_where_a_push_goes(paas: Run, git: Git, wire: Wire) -> None:
    ran = paas("git:remote", "-a", "shop")
    assert ran.returncode == 0, ran.stderr
    assert git("remote", "-v").splitlines() == [
        f"heroku\thttps://{wire.host}/shop.git (fetch)",
        f"heroku\thttp://{wire.host}/shop.git (push)",
        f"paasd\thttp://{wire.host}/shop.git (fetch)",
        f"paasd\thttp://{wire.host}/shop.git (push)",
    ]
    assert ran.stdout.splitlines() == [
        f"set git remote paasd to http://{wire.host}/shop.git",
        f"set git remote heroku to https://{wire.host}/shop.git",
    ]


def test_git_gets_the_token_for_both_schemes(paas: Run, git: Git, wire: Wire, environment: dict[str, str]) -> None:
    git("config", "--global", "credential.helper", "!echo username=foreign; echo password=foreign; :")
    assert paas("git:remote", "-a", "shop").returncode == 0
    for scheme in ("http", "https"):
        answer = git("credential", "fill", stdin=f"protocol={scheme}\nhost={wire.host}\n\n")
        assert f"username=heroku\npassword={TOKEN}\n" in answer
    assert "foreign" in git("credential", "fill", stdin="protocol=https\nhost=example.org\n\n")


def test_the_token_is_in_no_file_of_the_repository(paas: Run, git: Git, repository: Path) -> None:
    paas("git:remote", "-a", "shop")
    assert all(TOKEN.encode() not in file.read_bytes() for file in repository.rglob("*") if file.is_file())


@pytest.mark.parametrize("on_path", [True, False])
def test_the_helper_names_paas_by_its_path_where_it_must(
    paas: Run, git: Git, wire: Wire, home: Path, environment: dict[str, str], on_path: bool
) -> None:
    path = f"{PAAS.parent}:/usr/bin:/bin" if on_path else "/usr/bin:/bin"
    paas("git:remote", "-a", "shop", PATH=path)
    _, helper = git("config", "--get-all", f"credential.http://{wire.host}.helper").splitlines()
    assert helper == f"!{'paas' if on_path else PAAS} git:credentials --home '{home}'"


def test_the_default_home_goes_without_saying(
    paas: Run, git: Git, wire: Wire, home: Path, environment: dict[str, str]
) -> None:
    home.rename(Path(environment["HOME"]) / ".paasd")
    paas("git:remote", "-a", "shop", PAASD_HOME="", PATH=f"{PAAS.parent}:/usr/bin:/bin")
    assert git("config", "--get-all", f"credential.https://{wire.host}.helper") == "\n!paas git:credentials\n"


def test_repeating_it_changes_nothing(paas: Run, git: Git, repository: Path) -> None:
    paas("git:remote", "-a", "shop")
    before = (repository / ".git" / "config").read_bytes()
    assert paas("git:remote").returncode == 0  # the app is found from the remotes now
    assert (repository / ".git" / "config").read_bytes() == before


def test_a_remote_with_another_url_is_updated_and_said_so(paas: Run, git: Git, wire: Wire) -> None:
    git("remote", "add", "heroku", "https://me:hunter2@git.heroku.com/shop.git")
    ran = paas("git:remote", "-a", "shop")
    assert "(it was https://git.heroku.com/shop.git)" in ran.stdout
    assert git("config", "remote.heroku.url").strip() == f"https://{wire.host}/shop.git"


def test_json(paas: Run, git: Git, wire: Wire) -> None:
    found = json.loads(paas("git:remote", "-a", "shop", "--json").stdout)
    assert found["remotes"]["paasd"] == f"http://{wire.host}/shop.git"


def test_not_a_repository(paas: Run) -> None:
    ran = paas("git:remote", "-a", "shop")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "This is not a git repository: run `git init` first" in ran.stderr


def test_an_unknown_app_leaves_the_repository_alone(paas: Run, git: Git, wire: Wire) -> None:
    wire.fail("GET", "/apps/nope", 404, "not_found", "Couldn't find that app.", resource="app")
    ran = paas("git:remote", "-a", "nope")
    assert ran.returncode == 1
    assert "Couldn't find that app." in ran.stderr
    assert "Error ID: not_found" in ran.stderr
    assert git("remote") == ""


def test_credentials_only_for_our_own_host(paas: Run, wire: Wire) -> None:
    name = wire.host.replace("127.0.0.1", "localhost")
    for host in ("example.org", "127.0.0.1", wire.host + "0", f"{wire.host}.example.org", name):
        assert paas("git:credentials", "get", stdin=f"protocol=http\nhost={host}\n\n").stdout == ""
    for protocol in ("ssh", "ftp"):
        assert paas("git:credentials", "get", stdin=f"protocol={protocol}\nhost={wire.host}\n\n").stdout == ""


@pytest.mark.parametrize("operation", ["store", "erase"])
def test_nothing_is_stored_or_erased(paas: Run, wire: Wire, home: Path, operation: str) -> None:
    ran = paas("git:credentials", operation, stdin=f"protocol=http\nhost={wire.host}\nusername=a\npassword=b\n\n")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert (home / "token").read_text() == TOKEN + "\n"
