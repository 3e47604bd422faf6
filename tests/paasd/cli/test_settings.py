"""Where the API and the token come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from paasd.cli.settings import Settings

from .conftest import Run
from .wire import TOKEN, Wire


@pytest.fixture(autouse=True)
def account(wire: Wire) -> None:
    wire.reply("GET", "/account", {"email": "owner@localhost"})


def sent(wire: Wire) -> str:
    return wire.asked("GET", "/account")[-1].headers["Authorization"]


def test_from_the_home(paas: Run, wire: Wire) -> None:
    assert paas("whoami").stdout == "owner@localhost\n"
    assert sent(wire) == f"Bearer {TOKEN}"


def test_from_the_environment_alone(paas: Run, wire: Wire, tmp_path: Path) -> None:
    ran = paas("whoami", HEROKU_HOST=wire.url, HEROKU_API_KEY="other", PAASD_HOME=str(tmp_path / "none"))
    assert ran.returncode == 0, ran.stderr
    assert sent(wire) == "Bearer other"


def test_an_explicit_home_wins_over_the_environment(paas: Run, wire: Wire, home: Path) -> None:
    ran = paas("whoami", "--home", str(home), HEROKU_HOST="http://127.0.0.1:1", HEROKU_API_KEY="x", PAASD_HOME="/none")
    assert ran.returncode == 0, ran.stderr
    assert sent(wire) == f"Bearer {TOKEN}"


def test_the_default_home_is_below_the_users(paas: Run, home: Path, environment: dict[str, str]) -> None:
    home.rename(Path(environment["HOME"]) / ".paasd")
    assert paas("whoami", PAASD_HOME="").returncode == 0


def test_a_home_s_token_is_never_sent_to_another_host(paas: Run, wire: Wire, home: Path) -> None:
    (home / "api").write_text("http://127.0.0.1:5999\n")
    ran = paas("whoami", HEROKU_HOST=wire.url)
    assert ran.returncode == 1
    assert "HEROKU_API_KEY is not set" in ran.stderr
    assert not wire.seen


def test_the_home_s_token_serves_its_own_host(paas: Run, wire: Wire) -> None:
    assert paas("whoami", HEROKU_HOST=wire.url + "/").returncode == 0
    assert sent(wire) == f"Bearer {TOKEN}"


@pytest.mark.parametrize("host", ["127.0.0.1:5500", "heroku.com", "http://u:p@127.0.0.1:5500", "http://x/y", "ftp://x"])
def test_a_host_that_is_no_url_is_refused(paas: Run, host: str) -> None:
    ran = paas("whoami", HEROKU_HOST=host, HEROKU_API_KEY="x")
    assert ran.returncode == 1
    assert "HEROKU_HOST holds no URL" in ran.stderr


def test_a_token_that_is_none_is_refused_without_showing_it(paas: Run, home: Path) -> None:
    (home / "token").write_text("two words\n")
    ran = paas("whoami")
    assert ran.returncode == 1
    assert "paasd token" in ran.stderr
    assert "two words" not in ran.stderr


def test_a_home_that_is_a_file(paas: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = paas("whoami", "--home", str(tmp_path / "file"))
    assert ran.returncode == 1
    assert "--home DIR" in ran.stderr


def test_a_token_that_can_not_be_read(paas: Run, home: Path) -> None:
    (home / "token").unlink()
    (home / "token").symlink_to("token")
    ran = paas("whoami")
    assert ran.returncode == 1
    assert "can't be read" in ran.stderr


def test_the_token_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Settings("http://127.0.0.1:5500", "secret", "here", None))
