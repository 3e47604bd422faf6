"""`paasd serve --engine process`: real clients, real processes, and no Docker in it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_lesson import POLLS, take_the_lesson
from tests.daemon import Daemon, Shell, running, shell_for, supervisors, wait_until

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


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    config = {"dynos": {"boot_timeout": 6.0}, "deploy": {"wait": 5.0, "grace": 5.0}}
    try:
        with running(root, options=("--engine", "process"), config=config) as daemon:
            yield daemon
    finally:
        shutil.rmtree(root, ignore_errors=True)


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
