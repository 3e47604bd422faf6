"""The CLI of 2024 with its builds plugin, and the heroku-client library of npm, unmodified, against a real daemon."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import HELLO, PROCFILE, Shop, open_shop
from tests.conftest import CLIENTS, TOOLS
from tests.daemon import Daemon, Shell, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.docker,
    pytest.mark.heroku_cli,
    pytest.mark.other_clients,
    pytest.mark.timeout(300),
]
FLOW = """
const Heroku = require("heroku-client");
const heroku = new Heroku({ token: process.env.HEROKU_API_KEY, host: process.env.HEROKU_HOST });
(async () => {
  const said = {};
  said.apps = (await heroku.get("/apps")).map((app) => app.name);
  said.releases = (await heroku.get("/apps/older/releases")).map((release) => release.version);
  said.config = await heroku.patch("/apps/older/config-vars", { body: { GREETING: "hello" } });
  said.made = (await heroku.post("/apps", { body: { name: "by-node" } })).name;
  said.gone = (await heroku.delete("/apps/by-node")).name;
  said.missing = await heroku.get("/apps/by-node").catch((error) => [error.statusCode, error.body.id]);
  console.log(JSON.stringify(said));
})();
"""


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = open_shop(daemon, tmp_path_factory.mktemp("older"), "older")
    shop.deploy()
    yield shop
    shop.call("DELETE")


def heroku8(shell: Shell) -> Path:
    """The program: `heroku` 8.11.5 with heroku-builds, for that user."""
    home = shell.home
    plugin = {"name": "heroku-builds", "type": "link", "root": str(CLIENTS / "heroku-builds")}
    listed = home / ".local" / "share" / "heroku" / "package.json"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text(json.dumps({"private": True, "oclif": {"schema": 1, "plugins": [plugin]}, "dependencies": {}}))
    program = home / "bin" / "heroku8"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {TOOLS / "node"} {CLIENTS / "heroku" / "bin" / "run"} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def older(shop: Shop) -> Shell:
    """A user who has it."""
    heroku8(shop.shell)
    return shop.shell


def test_heroku_8(shop: Shop, older: Shell) -> None:
    def heroku(*command: str) -> str:
        return older.run(str(older.home / "bin" / "heroku8"), *command, "-a", shop.name)

    assert "Deploy" in heroku("releases")
    assert "web.1: up" in heroku("ps")
    assert "hello v2 listens" in heroku("logs", "-n", "50")
    assert "one-off" in heroku("run", "--no-tty", "echo one-off")
    build = shop.call("GET", "/builds")[1][0]["id"]
    assert build in heroku("builds")
    assert "succeeded" in heroku("builds:info")
    assert "Procfile declares types -> web" in heroku("builds:output")


def test_heroku_client(shop: Shop) -> None:
    command = [str(TOOLS / "node"), "-e", FLOW]
    environment = {**shop.shell.environment(), "NODE_PATH": str(CLIENTS)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    said = json.loads(ran.stdout)
    assert "older" in said["apps"]
    assert said["releases"] == [1, 2]
    assert said["config"] == {"GREETING": "hello"}
    assert (said["made"], said["gone"], said["missing"]) == ("by-node", "by-node", [404, "not_found"])


def test_heroku_builds_creates_a_build_of_a_folder(shop: Shop, older: Shell) -> None:
    """Not a git push: the plugin packs the folder, puts it, and watches the build."""
    (older.cwd / "never-committed.txt").write_text("sent all the same")
    before = shop.call("GET", "/releases")[1][-1]["version"]
    said = older.run(str(older.home / "bin" / "heroku8"), "builds:create", "--version", "v42", "-a", shop.name)
    assert "-----> Source received" in said
    assert f"v{before + 1} is live" in said
    assert shop.served() == f"v{before + 1}"
    assert "v42" in {build["source_blob"]["version"] for build in shop.call("GET", "/builds")[1]}
    (older.cwd / "Procfile").write_text("web serve\n")
    code, said = older.attempt(str(older.home / "bin" / "heroku8"), "builds:create", "-a", shop.name)
    assert (code != 0, shop.served()) == (True, f"v{before + 1}"), said
    assert "Procfile line 1 can't be read" in said


def test_heroku_builds_cancels_a_build_and_purges_the_cache(shop: Shop, older: Shell) -> None:
    """Bites: `DELETE /builds/ID` refused with the Accept header of its own that the plugin sends."""

    def heroku(*command: str) -> str:
        return older.run(str(older.home / "bin" / "heroku8"), *command, "-a", shop.name)

    def pending() -> list[str]:
        return [build["id"] for build in shop.call("GET", "/builds")[1] if build["status"] == "pending"]

    slow = (HELLO / "Dockerfile").read_text() + "RUN sleep 120\n"
    for name, text in (("Dockerfile", slow), ("Procfile", PROCFILE), ("server.py", (HELLO / "server.py").read_text())):
        (older.cwd / name).write_text(text)
    before = shop.served()
    with subprocess.Popen(
        ["paas", "deploy", "-a", shop.name],
        cwd=older.cwd,
        env=older.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as deploy:
        wait_until(lambda: bool(pending()), 60, "the build did not begin")
        [build] = pending()
        assert f"Stopping build {build}... done" in heroku("builds:cancel")
        said, _ = deploy.communicate(timeout=60)
    assert deploy.returncode == 1 and "cancelled by" in said.lower()
    assert "Can only cancel pending builds" in heroku("builds:cancel")  # and ends with 0, as it does with Heroku
    assert shop.served() == before
    assert "done" in heroku("builds:cache:purge", "--confirm", shop.name)
