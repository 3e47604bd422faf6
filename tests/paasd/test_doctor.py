"""The doctor: each finding under the condition it speaks of, made for real; and what it prints."""

import json
import os
import re
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from paasd.__main__ import main
from paasd.doctor import Finding, disk_finding, examine, git_finding, held_by_us, name_finding, port_finding, show
from paasd.settings import DockerSection, Settings
from tests.daemon import Daemon, free_port


@pytest.fixture
def root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def settings(root: Path) -> Settings:
    return Settings(
        home=root / "home",
        search_path=os.environ["PATH"],
        api=f"127.0.0.1:{free_port()}",
        router=f"127.0.0.1:{free_port()}",
        docker=DockerSection(host=f"unix://{root}/no-engine.sock"),
    )


def by_name(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings)}


class OldEngine(BaseHTTPRequestHandler):
    """What an Engine 19.03 says of itself, without cgroup controllers and without any image."""

    answers: dict[str, Any] = {  # noqa: RUF012 - a table
        "version": {"ApiVersion": "1.40", "MinAPIVersion": "1.12", "Version": "19.03.15"},
        "info": {"ServerVersion": "19.03.15", "MemoryLimit": False, "PidsLimit": False, "OSType": "linux"},
        "networks": [],
        "images/json": [],
    }

    def do_GET(self) -> None:
        path = re.sub(r"^/(v[\d.]+/)?", "", self.path.partition("?")[0])
        body = json.dumps(self.answers.get(path, [])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix socket"

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def old_engine(path: Path) -> Iterator[str]:
    with socketserver.ThreadingUnixStreamServer(str(path), OldEngine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()


def test_an_engine_that_does_not_answer(settings: Settings) -> None:
    finding = by_name(settings)["engine"]
    assert not finding.ok
    assert "no-engine.sock" in finding.detail
    assert "apt-get install docker.io" in finding.remedy


def test_an_engine_that_is_too_old_and_lacks_limits_and_the_stack_image(settings: Settings, root: Path) -> None:
    with old_engine(root / "engine.sock") as host:
        findings = examine(msgspec.structs.replace(settings, docker=DockerSection(host=host)))
    said = {finding.detail: finding.remedy for finding in findings if not finding.ok}
    assert "Docker's API 1.40 is too old; install Docker Engine 20.10 or newer." in said
    assert "Docker can't limit dynos' memory and processes here; enable those cgroup controllers." in said
    assert said["paasd/stack:bookworm is missing: only apps with a Dockerfile build"] == "run `make setup`"
    assert all(said.values())


@pytest.mark.docker
def test_the_engine_of_this_machine(settings: Settings) -> None:
    findings = by_name(msgspec.structs.replace(settings, docker=DockerSection()))
    assert re.match(r"Docker \d+\.\d+.*, API 1\.\d+, (BuildKit|the classic builder)$", findings["engine"].detail)
    assert findings["stack"].ok
    if "BuildKit" in findings["engine"].detail:
        assert findings["builds"].ok
        assert re.match("all together have 4096 MB|not bounded in memory", findings["builds"].detail)


def test_git_is_looked_for_where_the_daemon_would(settings: Settings, root: Path) -> None:
    assert git_finding(settings).detail.startswith("git version 2.")
    without = git_finding(msgspec.structs.replace(settings, search_path=str(root)))
    assert without == Finding("git", False, "git was not found", "install it: apt-get install git")
    (root / "git").write_text("#!/bin/sh\necho git version 2.20.1\n")
    (root / "git").chmod(0o755)
    old = git_finding(msgspec.structs.replace(settings, search_path=str(root)))
    assert (old.ok, old.detail) == (False, "git version 2.20.1 is too old")


def test_a_port_that_somebody_else_has(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finding = by_name(msgspec.structs.replace(settings, api=address))["API port"]
        assert finding.detail == f"{address} can't be listened on (Address already in use)"
        assert "--api HOST:PORT" in finding.remedy
        finding = by_name(msgspec.structs.replace(settings, router=address))["router port"]
        assert not finding.ok
        assert "--router HOST:PORT" in finding.remedy
    assert by_name(settings)["API port"] == Finding("API port", True, f"{settings.api} is free")
    assert port_finding("API", "[::1]:0", "--api", False).name == "API port"


def test_our_own_daemon_and_router_are_no_obstacle(root: Path) -> None:
    daemon = Daemon(root)
    daemon.start()
    try:
        ours = Settings(
            home=daemon.home,
            search_path=os.environ["PATH"],
            api=f"127.0.0.1:{daemon.api_port}",
            router=f"127.0.0.1:{daemon.router_port}",
        )
        found = by_name(ours)
        assert (found["API port"].detail, found["API port"].ok) == (f"{ours.api} is ours", True)
        assert (found["router port"].detail, found["router port"].ok) == (f"{ours.router} is ours", True)
        elsewhere = msgspec.structs.replace(ours, api=f"127.0.0.1:{free_port()}")
        assert not held_by_us(elsewhere)
    finally:
        daemon.clear_away()


def test_somebody_elses_web_server_is_not_our_daemon(settings: Settings) -> None:
    settings.home.mkdir()
    for text in ("", "ftp://x", "http://127.0.0.1:1", "nonsense"):
        (settings.home / "api").write_text(text)
        assert not held_by_us(settings)


def test_room_on_the_disk(settings: Settings) -> None:
    usage = shutil.disk_usage(settings.home.parent)
    finding = disk_finding(settings)
    assert finding.ok is (usage.free >= 2 * 1024**3 and usage.free >= usage.total * 0.1)
    assert re.match(rf"[\d.]+ GB of \d+ GB are free at {settings.home.parent}$", finding.detail)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no file system here that is known to be full")
def test_a_nearly_full_disk(settings: Settings) -> None:
    """/proc has no room at all, wherever this runs."""
    finding = disk_finding(msgspec.structs.replace(settings, home=Path("/proc/self/home")))
    assert not finding.ok
    assert "docker system df" in finding.remedy


def test_names(settings: Settings) -> None:
    local = name_finding(settings)
    assert local.ok  # browsers and curl resolve *.localhost by themselves
    unknown = name_finding(msgspec.structs.replace(settings, domain="paasd.invalid"))
    assert not unknown.ok
    assert unknown.detail == "*.paasd.invalid does not resolve here"
    assert "/etc/hosts" in unknown.remedy


def test_it_changes_nothing(settings: Settings) -> None:
    examine(settings)
    assert not settings.home.exists()
    assert not settings.router_directory.exists()


def invoke(settings: Settings, *options: str) -> tuple[int, str]:
    config = settings.home.parent / "paasd.yaml"
    config.write_text(json.dumps({"docker": {"host": settings.docker.host}}))
    where = ["--home", str(settings.home), "--config", str(config), "--api", settings.api, "--router", settings.router]
    result = CliRunner().invoke(main, ["doctor", *where, *options])
    return result.exit_code, result.output


def test_the_command_fails_while_something_is_missing(settings: Settings) -> None:
    code, text = invoke(settings)
    assert code == 1
    assert re.search(r"^MEND  engine +", text, re.MULTILINE)
    assert re.search(r"^ +-> install and start Docker", text, re.MULTILINE)
    assert re.search(r"^ok    git +git version", text, re.MULTILINE)


def test_the_findings_as_json(settings: Settings) -> None:
    code, text = invoke(settings, "--json")
    assert code == 1
    findings = json.loads(text)
    assert [finding["name"] for finding in findings] == ["engine", "git", "disk", "API port", "router port", "names"]
    assert set(findings[0]) == {"name", "ok", "detail", "remedy"}


def test_nothing_to_mend_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    show([Finding("git", True, "git version 2.39.5")], as_json=False)
    assert capsys.readouterr().out == "ok    git  git version 2.39.5\n"
