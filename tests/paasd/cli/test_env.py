"""`paas env`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import PAAS, Run
from .wire import TOKEN, Wire


def test_prints_every_variable_for_a_shell_to_evaluate(
    paas: Run, wire: Wire, home: Path, environment: dict[str, str]
) -> None:
    ran = paas("env")
    assert ran.returncode == 0
    shell = subprocess.run(
        ["sh", "-c", f"{ran.stdout}\nenv -0"], env=environment, capture_output=True, text=True, check=True
    )
    seen = dict(entry.split("=", 1) for entry in shell.stdout.split("\0") if entry)
    wanted = {
        "HEROKU_HOST": wire.url,
        "HEROKU_API_KEY": TOKEN,
        "HEROKU_PARTICLEBOARD_URL": wire.url,
        "HEROKU_DATA_HOST": "127.0.0.1",
        "HEROKU_POSTGRESQL_HOST": "127.0.0.1",
        "HEROKU_REDIS_HOST": "127.0.0.1",
        "HEROKU_LOGIN_HOST": wire.url,
        "DISABLE_TELEMETRY": "true",
        "HEROKU_DISABLE_AUTOUPDATE": "1",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "1",
        "NODE_NO_WARNINGS": "1",
        "HEROKU_NETRC_WRITE": "true",
        "PAASD_HOME": str(home),
    }
    assert {name: seen[name] for name in wanted} == wanted
    assert seen["PATH"].endswith(environment["PATH"])


def test_the_home_and_not_an_older_environment_decides(paas: Run, wire: Wire) -> None:
    ran = paas("env", HEROKU_HOST="http://127.0.0.1:1", HEROKU_API_KEY="stale")
    assert f"HEROKU_HOST={wire.url}" in ran.stdout
    assert "stale" not in ran.stdout


def test_a_home_with_a_quote_in_its_name_is_quoted(
    paas: Run, tmp_path: Path, home: Path, environment: dict[str, str]
) -> None:
    odd = tmp_path / "it's; $(touch owned) here"
    home.rename(odd)
    ran = paas("env", "--home", str(odd))
    shell = subprocess.run(
        ["sh", "-c", f'{ran.stdout}\nprintf %s "$PAASD_HOME"'], env=environment, capture_output=True, text=True
    )
    assert shell.stdout == str(odd)


def test_the_token_is_masked_on_a_terminal_unless_asked_for(terminal: Run) -> None:
    masked, shown = terminal("env"), terminal("env", "--show")
    assert TOKEN not in masked.stdout + masked.stderr
    assert "HEROKU_API_KEY='********'" in masked.stdout
    assert "--show" in masked.stderr
    assert TOKEN in shown.stdout


def test_json(paas: Run, wire: Wire, terminal: Run) -> None:
    assert json.loads(paas("env", "--json").stdout)["HEROKU_HOST"] == wire.url
    assert TOKEN not in terminal("env", "--json").stdout


def test_without_a_home_nothing_is_on_stdout(paas: Run, tmp_path: Path) -> None:
    ran = paas("env", "--home", str(tmp_path / "none"))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"paasd serve --home {tmp_path / 'none'}" in " ".join(ran.stderr.split())


def test_path_is_left_alone_when_it_has_the_directories(paas: Run, environment: dict[str, str]) -> None:
    tools = PAAS.parent.parent.parent / ".tools" / "bin"
    ran = paas("env", PATH=f"{PAAS.parent}:{tools}:{environment['PATH']}")
    assert "PATH=" not in ran.stdout


def test_the_programs_of_the_checkout_are_put_on_the_path(paas: Run) -> None:
    line = next(
        line for line in paas("env", PATH="/usr/bin:/bin").stdout.splitlines() if line.startswith("export PATH")
    )
    assert str(PAAS.parent) in line
    assert line.endswith(':"$PATH"')


def test_node_is_told_of_the_daemons_own_authority(paas: Run, home: Path) -> None:
    assert "NODE_EXTRA_CA_CERTS" not in json.loads(paas("env", "--json").stdout)
    (home / "ca").mkdir()
    (home / "ca" / "ca.pem").write_text("its certificate")
    assert json.loads(paas("env", "--json").stdout)["NODE_EXTRA_CA_CERTS"] == str(home / "ca" / "ca.pem")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_sets_all_of_it_and_takes_it_back(
    paas: Run, home: Path, environment: dict[str, str], shell: str
) -> None:
    """Where the shell is installed it evaluates what is printed. Bites: leave a variable out of `--unset`."""
    odd = home.with_name("it's a $(home) \\ here")
    home.rename(odd)
    (odd / "ca").mkdir()
    (odd / "ca" / "ca.pem").write_text("PEM")
    said = paas("env", "--shell", shell, "--home", str(odd)).stdout
    names = re.findall(r"^(?:export|set -gx) (\w+)[= ]", said, re.MULTILINE)
    assert {"HEROKU_HOST", "NODE_EXTRA_CA_CERTS", "GIT_CONFIG_COUNT", "PAASD_HOME"} <= set(names)
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    pipe = "| source" if shell == "fish" else ""
    back = f"{PAAS} env --unset --shell {shell} {pipe}" if shell == "fish" else f'eval "$({PAAS} env --unset)"'
    script = f"{said}\nenv -0; printf '===\\0'; {back}\nenv -0"
    ran = subprocess.run([program, "-c", script], env=environment, capture_output=True, text=True, check=True)
    before, _, after = ran.stdout.partition("===\0")
    seen = dict(entry.split("=", 1) for entry in before.split("\0") if entry)
    assert seen["PAASD_HOME"] == str(odd)
    assert seen["GIT_CONFIG_VALUE_0"] == seen["NODE_EXTRA_CA_CERTS"] == str(odd / "ca" / "ca.pem")
    assert [entry for entry in after.split("\0") if entry.partition("=")[0] in {*names} - {"PATH"}] == []


def test_heroku_runs_with_all_of_it(paas: Run, wire: Wire, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "heroku"
    program.write_text('#!/bin/sh\necho "$HEROKU_HOST $HEROKU_API_KEY"\nprintf "<%s>" "$@"\nexit 7\n')
    program.chmod(0o755)
    ran = paas("heroku", "run", "-x", "--", "echo  two", PATH=f"{tmp_path / 'bin'}:{environment['PATH']}")
    assert ran.stdout == f"{wire.url} {TOKEN}\n<run><-x><--><echo  two>"
    assert ran.returncode == 7
