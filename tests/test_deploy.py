"""The units and the compose file: they parse, and start our programs with options that those understand."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from paasd import settings
from router.options import parse

DEPLOY = Path(__file__).parent.parent / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / "systemd" / name).read_text())
    return parser


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded["services"]  # type: ignore[no-any-return]


def test_both_services_come_back_and_are_fenced() -> None:
    for name in ("paasd.service", "paasd-router.service"):
        service = unit(name)["Service"]
        assert (service["Restart"], service["NoNewPrivileges"], service["ProtectSystem"]) == (
            "always",
            "true",
            "strict",
        )


def test_the_router_unit_takes_the_socket_and_no_engine() -> None:
    service = unit("paasd-router.service")["Service"]
    command = shlex.split(service["ExecStart"])
    options = parse(command[command.index("router") + 1 :])
    assert (options.listen, str(options.directory)) == (3, "/var/lib/paasd-router")
    assert service["User"] == "paasd-router" and service["KillMode"] == "process"
    assert "docker.sock" in service["InaccessiblePaths"] and "HUP" in service["ExecReload"]
    assert unit("paasd-router.socket")["Socket"]["ListenStream"] == "127.0.0.1:8080"
    assert int(service["TimeoutStopSec"]) > options.patience.longest + 5


def test_the_daemon_leaves_a_supervised_router_to_its_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = unit("paasd.service")["Service"]["Environment"].partition("=")
    assert {name: value} == compose()["paasd"]["environment"]
    monkeypatch.setenv(name, value)
    assert settings.load({}, None).router_supervised is True


def test_only_the_daemon_has_the_engines_socket() -> None:
    services = compose()
    assert set(services) == {"paasd", "router"}
    assert [name for name, each in services.items() if any("docker.sock" in v for v in each["volumes"])] == ["paasd"]
    assert parse(services["router"]["command"]).user == "nobody"
    for each in services.values():
        assert each["restart"] == "always" and each["cap_drop"] == ["ALL"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_knows_every_line() -> None:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
    complaints = [line for line in said.splitlines() if any(each.name in line for each in UNITS)]
    assert [line for line in complaints if "is not executable" not in line and "not found" not in line] == []
