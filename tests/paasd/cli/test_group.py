"""The command list as a whole."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from paasd.cli.commands import build
from paasd.cli.session import Session

from .conftest import Run

NAMES = sorted(build().commands)


def test_help_shows_every_command_by_an_example(paas: Run, tmp_path: object) -> None:
    ran = paas("--help", PAASD_HOME="/nowhere")
    assert ran.returncode == 0
    for name in NAMES:
        assert f"paas {name.replace('router:', 'router ')}" in ran.stdout, name
    assert max(map(len, ran.stdout.splitlines())) <= 120
    assert "\x1b" not in ran.stdout
    assert paas("help").stdout == ran.stdout


def test_help_of_a_command(paas: Run) -> None:
    assert "Example:\n    paas rollback v2" in paas("help", "rollback").stdout
    assert paas("help", "rollback").stdout == paas("rollback", "--help").stdout


@pytest.mark.parametrize("name", NAMES)
def test_help_of_each_command_has_an_example_and_json(name: str) -> None:
    """As it is printed, in one process for all: there are a hundred."""
    ran = CliRunner().invoke(build(), ["help", name], obj=Session())
    assert ran.exit_code == 0
    assert "Example:\n    " in ran.stdout
    assert "--home DIR" in ran.stdout
    others = {
        "autocomplete",
        "git:credentials",
        "heroku",
        "pg:psql",
        "pg:ps",
        "pg:kill",
        "redis:cli",
        "run",
        "run:inside",
        "console",
        "rake",
    }  # print what is others'
    assert "--json" in ran.stdout or name in others


@pytest.mark.parametrize(
    ("typed", "meant"), [("relaeses", "releases"), ("app:create", "apps:create"), ("mantenance:on", "maintenance:on")]
)
def test_did_you_mean(paas: Run, typed: str, meant: str) -> None:
    ran = paas(typed)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{typed} is not a paas command: did you mean `paas {meant}`?" in ran.stderr


@pytest.mark.parametrize("typed", ["xyzzy", "frobnicate"])
def test_nothing_alike(paas: Run, typed: str) -> None:
    """Bites: take what is half alike, and `frobnicate` is meant to be `addons:create`."""
    ran = paas(typed)
    assert ran.returncode == 2
    assert "did you mean" not in ran.stderr


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("certs:add", "there are no certificates of your own yet"),
        ("pipelines:create", "push the same commit to each app instead."),
        ("teams", "`paas access:add`"),
        ("spaces:create", "every app runs on this machine"),
        ("local:version", "use `heroku local`"),
    ],
)
def test_what_heroku_has_and_paas_has_not(paas: Run, typed: str, instead: str) -> None:
    """Bites: without INSTEAD `pipelines:create` is taken for `apps:create`."""
    ran = paas(typed, "x")
    assert ran.returncode == 2 and f"{typed} is not a paas command: " in ran.stderr
    assert instead in ran.stderr and "did you mean" not in ran.stderr


def test_alone_it_tells_what_there_is(paas: Run) -> None:
    """Bites: click's own way, by which help is an error of one who typed nothing."""
    alone = paas()
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, paas("--help").stdout, "")
    assert paas("-h").stdout == alone.stdout
    assert paas("config:set", "-h").stdout == paas("help", "config:set").stdout


def test_version(paas: Run) -> None:
    assert paas("--version").stdout.startswith("paas ")
    assert paas("version").stdout == paas("--version").stdout


def test_completion(paas: Run) -> None:
    ran = paas(_PAAS_COMPLETE="bash_complete", COMP_WORDS="paas rel", COMP_CWORD="1")
    assert "plain,releases:info" in ran.stdout


@pytest.mark.parametrize("name", NAMES)
def test_no_option_is_there_twice(name: str) -> None:
    """Bites: give `logs --release` the -r that is the remote's."""
    words = [word for parameter in build().commands[name].params for word in parameter.opts]
    assert sorted(words) == sorted(set(words))
