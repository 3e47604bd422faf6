"""The daemon as a process, without an engine so that it runs anywhere: first start, restarts, refusals, settings."""

import base64
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paasd.chores import PERIODIC
from tests.daemon import BIN, Daemon, free_port, running, shell_for, wait_until
from tests.faults.soak.killer import router_processes

NO_ENGINE = {"docker": {"host": "unix:///nonexistent/docker.sock"}}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, config=NO_ENGINE) as daemon:
            yield daemon
    finally:
        shutil.rmtree(root, ignore_errors=True)


def router_of(daemon: Daemon) -> Any:
    return daemon.call("GET", "/paasd/router")[1]


def test_the_first_start_makes_home_account_and_token(daemon: Daemon) -> None:
    assert stat.S_IMODE(daemon.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((daemon.home / "token").stat().st_mode) == 0o600
    assert len(daemon.token) == 64
    assert (daemon.home / "api").read_text().strip() == daemon.url
    status, account = daemon.call("GET", "/account")
    assert (status, account["email"]) == (200, "owner@localhost")
    for name in ("store.db", "key", "url-secret", "lock", "id"):
        assert stat.S_IMODE((daemon.home / name).stat().st_mode) & 0o077 == 0, name


def test_health_needs_no_token(daemon: Daemon) -> None:
    with urllib.request.urlopen(f"{daemon.url}/health", timeout=10) as answer:
        assert json.load(answer)["status"] == "ok"


def test_a_second_daemon_on_the_home_is_refused_at_once(daemon: Daemon) -> None:
    command = [str(BIN / "paasd"), "serve", "--home", str(daemon.home)]
    command += ["--api", f"127.0.0.1:{free_port()}", "--router", f"127.0.0.1:{free_port()}"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert daemon.process is not None
    assert second.returncode == 1
    assert f"paasd: Another paasd (process {daemon.process.pid}) holds the home {daemon.home}" in second.stderr
    assert "Traceback" not in second.stderr
    assert daemon.call("GET", "/account")[0] == 200


def test_stopped_or_killed_the_router_goes_on_and_is_found_again(daemon: Daemon) -> None:
    router, token = router_of(daemon), daemon.token
    assert daemon.call("POST", "/apps", {"name": "kept"})[0] in (200, 201, 202)
    for end in (daemon.stop, daemon.kill):
        end()
        assert daemon.get("nobody")[0] == 404  # from the router alone
        daemon.start()
        assert router_of(daemon)["pid"] == router["pid"]
        assert daemon.token == token
        assert daemon.call("GET", "/apps/kept")[0] == 200


def test_a_killed_router_is_started_again_where_it_was(daemon: Daemon) -> None:
    """Killed as its parent, which holds the sockets and serves nothing: a worker serves on meanwhile, and tells nobody.

    Bites: without `mend_router` in PERIODIC it waits for a reconcile, and two of those are 30 s apart."""
    listen = router_of(daemon)["listen"]
    for _ in range(2):
        before, _ = router_processes(daemon)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        wait_until(lambda gone=before: router_processes(daemon)[0] not in (None, gone), 15, "no router came back")
        assert daemon.get("nobody")[0] == 404
        wait_until(lambda: router_of(daemon)["listen"] == listen, 15, "it is elsewhere")


def test_the_log_tells_no_secret(daemon: Daemon) -> None:
    text = daemon.log.read_text()
    assert "serving" in text
    assert daemon.token not in text
    assert (daemon.home / "url-secret").read_text().strip() not in text


def test_periodic_work_has_a_period() -> None:
    assert all(seconds > 0 for seconds, _ in PERIODIC)


def trusting(daemon: Daemon) -> dict[str, str]:
    """The environment of a client that trusts the daemon's authority and knows no other."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(daemon.root),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def test_curl_and_git_are_served_by_https_on_the_same_port(daemon: Daemon) -> None:
    """Bites: with a port that speaks http alone, both fail at the handshake."""
    authority, url = daemon.home / "ca" / "ca.pem", f"https://localhost:{daemon.api_port}"
    assert (daemon.home / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    curl = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", str(authority), f"{url}/health"],
        env=trusting(daemon), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(curl.stdout or "{}").get("status") == "ok", curl.stderr
    assert daemon.call("POST", "/apps", {"name": "secure"})[0] == 201
    header = base64.b64encode(f"x:{daemon.token}".encode()).decode()
    options = ["-c", f"http.sslCAInfo={authority}", "-c", f"http.extraHeader=Authorization: Basic {header}"]
    git = ["git", *options, "ls-remote", f"{url}/secure.git"]
    done = subprocess.run(git, env=trusting(daemon), capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    untrusting = subprocess.run(
        ["git", "-c", "http.sslCAInfo=/dev/null", *git[3:]], env=trusting(daemon), capture_output=True, check=False
    )
    assert untrusting.returncode != 0


@pytest.mark.heroku_cli
def test_the_official_cli_works_over_https(daemon: Daemon, tmp_path: Path) -> None:
    """Bites: without NODE_EXTRA_CA_CERTS in `paas env`, Node refuses the certificate."""
    shell = shell_for(daemon, tmp_path)
    shell.env["HEROKU_HOST"] = shell.env["HEROKU_PARTICLEBOARD_URL"] = f"https://127.0.0.1:{daemon.api_port}"
    assert "owner@localhost" in shell.run("heroku", "auth:whoami")


def test_an_app_answers_by_https_with_a_certificate_of_its_own(daemon: Daemon) -> None:
    """Bites: without `certificates` in keep_mending the router has none."""
    daemon.call("POST", "/apps", {"name": "sealed"})
    daemon.call("PATCH", "/apps/sealed", {"maintenance": True})  # its route is published though no engine is there
    where = f"sealed.localhost:{daemon.router_port}"
    command = ["curl", "--silent", "--show-error", "--max-time", "10", "--cacert", str(daemon.home / "ca" / "ca.pem")]
    command += ["--resolve", f"{where}:127.0.0.1", f"https://{where}/"]

    def answered() -> bool:
        done = subprocess.run(command, env=trusting(daemon), capture_output=True, text=True, check=False)
        return "maintenance" in done.stdout

    wait_until(answered, 20, "no answer by https")


@pytest.mark.slow
def test_maintenance_with_a_page_and_an_end_outlives_the_daemon(daemon: Daemon) -> None:
    """Answered from the acknowledgement on, by the app's own page; over at its time though the daemon is dead, and the
    ledger says so once it is back. Bites: without `end_maintenance` in PERIODIC the ledger never does."""
    daemon.call("POST", "/apps", {"name": "closed"})
    where = f"{daemon.url}/apps/closed/maintenance-page"
    request = urllib.request.Request(where, data=b"<h1>Gone fishing</h1>", method="PUT")
    request.add_header("Authorization", f"Bearer {daemon.token}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["pages"][0]["size"] == 21
    end = datetime.now(UTC) + timedelta(seconds=6)
    wish = {"until": end.isoformat()}
    assert daemon.call("PATCH", "/apps/closed/maintenance", wish)[0] == 200
    assert daemon.get("closed") == (503, "<h1>Gone fishing</h1>")
    daemon.kill()
    assert datetime.now(UTC) < end
    assert daemon.get("closed")[0] == 503
    wait_until(lambda: daemon.get("closed")[0] == 502, 20, "maintenance did not end")
    assert datetime.now(UTC) >= end
    daemon.start()
    wait_until(lambda: not daemon.call("GET", "/apps/closed")[1]["maintenance"], 20, "the ledger does not know")
    assert daemon.call("GET", "/apps/closed/maintenance")[1]["until"] is None
