"""`paasd serve --engine process`: real clients, real processes, and no Docker in it."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.test_lesson import POLLS, take_the_lesson
from tests.daemon import BIN, Daemon, Shell, free_port, shell_for, supervisors, wait_until

SERVER = """
import http.server, os

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{TEXT} {os.environ['HEROKU_RELEASE_VERSION']} {os.environ.get('GREETING', '-')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        print("asked", flush=True)

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
"""
PROCFILE = "web: python3 -I -S server.py\nrelease: echo released $DYNO\n"


def app(text: str, procfile: str = PROCFILE) -> dict[str, str]:
    """The files of a tiny app without dependencies."""
    return {"server.py": f"TEXT = {text!r}\n{SERVER}", "Procfile": procfile, "requirements.txt": ""}


@pytest.fixture
def daemon(without_docker: Daemon) -> Daemon:
    return without_docker


@pytest.fixture
def shell(daemon: Daemon, tmp_path: Path) -> Shell:
    return shell_for(daemon, tmp_path / "user")


@pytest.mark.slow  # with the same words as over Docker; what follows is its quick like
@pytest.mark.heroku_cli
@pytest.mark.timeout(420)
def test_the_lesson(daemon: Daemon, tmp_path: Path) -> None:
    take_the_lesson(daemon, shell_for(daemon, tmp_path / "user", POLLS))
    wait_until(lambda: supervisors(daemon.home) == [], 30, "a dyno of the destroyed app goes on")


@pytest.mark.timeout(120)
def test_deploy_rollback_maintenance_scale_run(daemon: Daemon, shell: Shell) -> None:
    first = shell.commit("First", app("first"))
    shell.run("paas", "apps:create", "stall")
    shell.run("paas", "git:remote", "-a", "stall")
    pushed = shell.run("git", "push", "paasd", "main")
    assert "released release." in pushed
    assert daemon.get("stall") == (200, "first v2 -")
    shell.run("paas", "config:set", "GREETING=hello")
    assert daemon.released("stall", 3)["status"] == "succeeded"
    assert daemon.get("stall") == (200, "first v3 hello")
    shell.commit("Second", app("second"))
    assert "Using the dependencies of the build before" in shell.run("git", "push", "paasd", "main")
    assert daemon.get("stall") == (200, "second v4 hello")

    shell.run("paas", "maintenance:on")
    assert daemon.get("stall")[0] == 503
    shell.run("paas", "maintenance:off")
    shell.run("paas", "rollback", "v2")
    assert daemon.released("stall", 5)["status"] == "succeeded"
    assert daemon.get("stall") == (200, "first v5 -")
    assert first[:8] in shell.run("paas", "releases:info", "v5")

    shell.run("paas", "ps:scale", "web=2")
    wait_until(lambda: shell.run("paas", "ps").count(": up") == 2, 30, "web.2 did not come up")
    code, said = shell.attempt("paas", "run", "--", 'echo "hello from $DYNO"; exit 3')
    assert (code, said.splitlines()[-1].startswith("hello from run.")) == (3, True), said
    assert shell.run("paas", "exec", "web.1", "echo inside $DYNO").splitlines()[-1] == "inside web.1"
    assert "app[web.1]: asked" in shell.run("paas", "logs", "-n", "200")
    shell.run("paas", "apps:destroy", "--confirm", "stall", "-a", "stall")
    wait_until(lambda: supervisors(daemon.home) == [], 30, "a dyno of the destroyed app goes on")


@pytest.mark.timeout(120)
def test_a_folder_of_static_files_by_buildpack_and_app_json(daemon: Daemon, shell: Shell) -> None:
    """Bites: files alone refused, which Docker serves; app.json's env and postdeploy, or PROJECT_PATH, left out."""
    site = {
        "site/index.html": "<h1>Files alone</h1>",
        "site/static.json": '{"routes": {"/**": "index.html"}}',
        "site/app.json": '{"env": {"GREETING": "hello"}, "scripts": {"postdeploy": "echo after $GREETING"}}',
        "tool/bin/detect": "#!/bin/sh\nexit 0\n",
    }
    shell.commit("A site", site)
    shell.run("paas", "apps:create", "panel")
    shell.run("paas", "git:remote", "-a", "panel")
    shell.run("paas", "config:set", "PROJECT_PATH=site")
    shell.run("paas", "buildpacks:set", "heroku/static")
    pushed = shell.run("git", "push", "paasd", "main")
    assert "the buildpacks that the app names: heroku/static" in pushed
    assert "after hello" in pushed
    assert daemon.get("panel", "/some/route") == (200, "<h1>Files alone</h1>")
    assert daemon.get("panel", "/static.json")[1] == "<h1>Files alone</h1>"  # its rules are nobody's to read

    shell.run("paas", "config:unset", "PROJECT_PATH")
    shell.run("paas", "buildpacks:set", "./tool")
    shell.commit("By a buildpack of its own", {"more": "1"})
    assert "needs the Docker engine" in shell.run("git", "push", "paasd", "main", ok=False)
    assert daemon.get("panel")[0] == 200
    shell.run("paas", "apps:destroy", "--confirm", "panel", "-a", "panel")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_fails_leaves_what_serves(daemon: Daemon, shell: Shell) -> None:
    shell.commit("First", app("first"))
    shell.run("paas", "apps:create", "kiosk")
    shell.run("paas", "git:remote", "-a", "kiosk")
    shell.run("git", "push", "paasd", "main")
    head = shell.run("git", "rev-parse", "paasd/main").strip()

    shell.commit("Its release phase fails", app("second", PROCFILE.replace("echo released $DYNO", "exit 7")))
    assert "exited with status 7" in shell.run("git", "push", "paasd", "main", ok=False)
    shell.commit("It crashes", app("third", "web: echo no such module; exit 1\n"))
    assert "web.1: no such module" in shell.run("git", "push", "paasd", "main", ok=False)
    shell.commit("It binds another port", app("fourth", "web: PORT=31999 python3 -I -S server.py\n"))
    assert "listens on 31999" in shell.run("git", "push", "paasd", "main", ok=False)
    shell.commit("No such package", {**app("fifth"), "requirements.txt": "./nothing-here\n"})
    assert "exited with status" in shell.run("git", "push", "paasd", "main", ok=False)
    shell.commit("A Dockerfile", {**app("sixth"), "Dockerfile": "FROM scratch\n"})
    assert "needs the Docker engine" in shell.run("git", "push", "paasd", "main", ok=False)

    assert daemon.get("kiosk") == (200, "first v2 -")
    shell.run("git", "fetch", "--quiet", "paasd")
    assert shell.run("git", "rev-parse", "paasd/main").strip() == head
    assert len(supervisors(daemon.home)) == 1
    shell.run("paas", "apps:destroy", "--confirm", "kiosk", "-a", "kiosk")


@pytest.mark.timeout(120)
def test_dynos_outlive_a_killed_daemon_and_are_adopted(daemon: Daemon, shell: Shell) -> None:
    """Bites: dynos as children of the daemon's session; a next daemon that starts others beside them."""
    shell.commit(
        "First",
        app("first", "web: (while :; do echo tick $((i=i+1)); sleep 0.1; done) & exec python3 -I -S server.py\n"),
    )
    shell.run("paas", "apps:create", "booth")
    shell.run("paas", "git:remote", "-a", "booth")
    shell.run("git", "push", "paasd", "main")
    before, (dyno,) = supervisors(daemon.home), daemon.call("GET", "/apps/booth/dynos")[1]
    daemon.kill()
    assert daemon.get("booth") == (200, "first v2 -")
    daemon.start()
    assert daemon.get("booth") == (200, "first v2 -")
    assert supervisors(daemon.home) == before
    (after,) = daemon.call("GET", "/apps/booth/dynos")[1]
    assert (after["id"], after["created_at"], after["state"]) == (dyno["id"], dyno["created_at"], "up")

    def ticks() -> list[int]:
        return [int(found) for found in re.findall(r"tick (\d+)", shell.run("paas", "logs", "-n", "1500"))]

    reached = ticks()[-1] + 10
    wait_until(lambda: ticks()[-1] > reached, 30, "its log is no longer read")
    found = ticks()
    assert found == list(range(1, found[-1] + 1))  # those of the time without a daemon too, each once

    daemon.kill()
    os.kill(before[0], signal.SIGKILL)  # and with it the dyno
    daemon.start()
    wait_until(lambda: daemon.get("booth")[0] == 200, 30, "nobody started it again")
    assert supervisors(daemon.home) != before
    shell.run("paas", "apps:destroy", "--confirm", "booth", "-a", "booth")


@pytest.mark.timeout(60)
def test_the_home_is_opened_by_no_other_engine(daemon: Daemon) -> None:
    command = [str(BIN / "paasd"), "serve", "--home", str(daemon.home), "--engine", "docker"]
    command += ["--api", f"127.0.0.1:{free_port()}", "--router", f"127.0.0.1:{free_port()}"]
    daemon.stop()
    try:
        other = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert other.returncode == 1
        assert "--engine process" in other.stderr
        assert "Traceback" not in other.stderr
    finally:
        daemon.start()
