"""The setup scripts and what is committed with them: they parse, keep their word on dry runs, and name no host."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "deploy" / "setup"
SCRIPTS = [*sorted(path for path in SETUP.iterdir() if path.is_file() and path.suffix == ""), ROOT / ".ci" / "run"]
# Written in two halves, so that this file may stay in the search.
HOSTS = tuple(
    name + "." + end
    for name, end in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("snapshot.debian", "org"),
        ("registry-1.docker", "io"),
        ("index.docker", "io"),
        ("hub.docker", "com"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
)


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **variables}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def committed() -> list[Path]:
    listed = run("git", "-C", str(ROOT), "-c", "safe.directory=*", "ls-files", "-z")
    assert listed.returncode == 0, listed.stderr
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_parses_and_stops_at_its_first_error(script: Path) -> None:
    assert run("bash", "-n", script).stderr == ""
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert "set -euo pipefail" in lines
    assert script.stat().st_mode & 0o111


def test_every_make_target_is_in_its_help() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = run("make", "-s", "-C", ROOT)
    assert listed.returncode == 0, listed.stderr
    assert sorted(targets) == sorted(re.findall(r"^ +make ([a-z-]+) +\S", listed.stdout, re.MULTILINE))
    assert {"setup", "demo", "down", "test", "heroku-cli", "bench-swap", "bench-deploy", "bench-idle"} <= set(targets)


def test_no_committed_file_names_a_package_host() -> None:
    pattern = re.compile("|".join(re.escape(host) for host in HOSTS))
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed()
        if (match := pattern.search(path.read_text("utf-8", errors="replace")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "lock",
    [ROOT / "requirements.lock", ROOT / "requirements-dev.lock", *SETUP.glob("*.lock")],
    ids=lambda lock: lock.name,
)
def test_lock_file_pins_and_hashes_each_package(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--(extra-)?index-url|--find-links)\b", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("directory", ["heroku", "clients"])
def test_npm_lock_pins_and_hashes_each_package_and_names_no_host(directory: str) -> None:
    lock = json.loads((SETUP / directory / "package-lock.json").read_text())
    wanted = json.loads((SETUP / directory / "package.json").read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == wanted
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages["node_modules/heroku"]["version"] == wanted["heroku"]
    for name, package in packages.items():
        # What lies in another package's archive is covered by that one's hash.
        assert package.get("inBundle") or package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
    assert "://" not in json.dumps(lock)


def test_dry_run_tells_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/no.sock"
    told = run(SETUP / "docker-engine", "--dry-run", DOCKER_HOST=nowhere, PYTHON3=sys.executable)
    assert told.returncode == 0, told.stderr
    assert "would run: " in told.stdout
    refused = run(SETUP / "docker-engine", DOCKER_HOST=nowhere, PYTHON3=sys.executable)
    assert refused.returncode == 1
    assert f"no engine answers at DOCKER_HOST={nowhere}" in refused.stderr


def test_engine_choice() -> None:
    assert "leaving Docker alone" in run(SETUP / "docker-engine", ENGINE="none").stdout
    assert "no images are needed" in run(SETUP / "base-images", ENGINE="none").stdout
    assert "no Docker is needed" in run(SETUP / "docker-engine", "--dry-run", ENGINE="process").stdout
    assert "no images are needed" in run(SETUP / "base-images", ENGINE="process").stdout
    named = run(SETUP / "docker-engine", "--dry-run", ENGINE="auto", DOCKER_HOST="unix:///nowhere.sock")
    assert "ENGINE=auto: taking Docker" in named.stdout  # which will be back; .ci/without-docker has the other half
    unknown = run(SETUP / "docker-engine", ENGINE="podman")
    assert unknown.returncode == 1
    assert "ENGINE=podman is unknown: use ENGINE=docker" in unknown.stderr


class Ping(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_ping" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "engine.sock"
    with UnixStreamServer(str(path), Ping) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_an_engine_that_answers_is_left_alone(engine_socket: Path) -> None:
    found = run(SETUP / "docker-engine", DOCKER_HOST=f"unix://{engine_socket}", PYTHON3=sys.executable)
    assert (found.returncode, found.stdout) == (0, "[docker-engine] ready: a Docker Engine answers\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of its own with the scripts only: what `down` removes there is not ours."""
    root = (tmp_path / "checkout").resolve()
    shutil.copytree(SETUP, root / "deploy" / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".demo" / "home").mkdir(parents=True)
    return root


def waiting(*words: str) -> subprocess.Popen[bytes]:
    """A process with these words in its command line, which ends at SIGTERM only."""
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", *words])


def test_down_ends_what_it_started_and_nothing_else(checkout: Path) -> None:
    demo = checkout / ".demo"
    (demo / "router").mkdir()
    with waiting("serve", "--home", str(demo / "home")) as daemon, waiting("--home", "/elsewhere") as stranger:
        (demo / "paasd.pid").write_text(f"{daemon.pid}\n")
        # The id of a router that ended long ago, now another process's.
        (demo / "router" / "router.lock").write_text(f"{stranger.pid}\n")
        ended = run(checkout / "deploy" / "setup" / "down")
        assert ended.returncode == 0, ended.stderr
        assert daemon.wait(10) == -15
        assert stranger.poll() is None
        stranger.terminate()
    assert f"stopping the daemon (process {daemon.pid})" in ended.stdout
    assert not demo.exists()


def test_down_twice_finds_nothing_to_do(checkout: Path) -> None:
    script = checkout / "deploy" / "setup" / "down"
    assert run(script).returncode == 0
    assert "nothing to stop" in run(script).stdout


def test_bad_address_is_refused_before_anything_is_installed(checkout: Path) -> None:
    refused = run(checkout / "deploy" / "setup" / "demo", API="5501", ROUTER="8081")
    assert refused.returncode == 1
    assert "API and ROUTER are HOST:PORT" in refused.stderr
    assert not (checkout / ".venv").exists()
