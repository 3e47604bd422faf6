"""Apps of other languages on `--engine process`: what is installed is made once, for what it is made of."""

import os
import re
import shutil
from pathlib import Path

import pytest

from paasd.adapters.process_run import BASE_PATH
from tests.acceptance.test_process_engine import daemon, shell
from tests.daemon import ROOT, Daemon, Shell

__all__ = ["daemon", "shell"]  # fixtures
NPM_CI = re.compile(r"-----> .*npm ci")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("node", path=BASE_PATH) is None, reason="no Node on this machine"),
]


def opened(shell: Shell, name: str, manager: str = "npm") -> Path:
    shell.run("paas", "apps:create", name)
    shell.run("paas", "git:remote", "-a", name)
    shutil.copytree(ROOT / "examples" / f"node-{manager}", shell.cwd, dirs_exist_ok=True)
    return shell.cwd


def pushed(shell: Shell, message: str) -> str:
    shell.commit(message)
    return shell.run("git", "push", "paasd", "main")


def test_node_modules_are_installed_once(daemon: Daemon, shell: Shell) -> None:
    """Bites: `npm ci` among the commands that make the app's folder, which run at each build; a layer that does not
    depend on the lock; a link in place of the copy, from which pruning can remove nothing."""
    place = opened(shell, "kept")
    assert NPM_CI.search(pushed(shell, "One"))
    status, page = daemon.get("kept")
    assert status == 200 and re.fullmatch(r"Node [\d.]+, built with is-number: true, two days are 172800000 ms\n", page)
    assert "is-number" not in shell.run("paas", "run", "--", "ls node_modules")
    server = place / "server.js"
    server.write_text(server.read_text().replace("two", "Two"))
    said = pushed(shell, "Two")
    assert "Using the dependencies of the build before" in said and not NPM_CI.search(said)
    assert "Two days" in daemon.get("kept")[1]
    package, lock = place / "package.json", place / "package-lock.json"
    for path in (package, lock):
        path.write_text(path.read_text().replace('"ms": "2.1.3"', '"ms": "2.1.2"'))
    text = lock.read_text()
    begin = text.index('"node_modules/ms"')
    lock.write_text(text[:begin] + '"node_modules/ms": {"version": "2.1.2"}' + text[text.index("}", begin) + 1 :])
    assert NPM_CI.search(pushed(shell, "Another lock"))
    assert "2.1.2" in shell.run("paas", "run", "--", "grep version node_modules/ms/package.json")


def test_without_scripts_they_are_not_even_copied(daemon: Daemon, shell: Shell) -> None:
    """Bites: a copy of node_modules, 10,000 files in many an app, for each changed line."""
    place = opened(shell, "linked")
    (place / "package.json").write_text('{"dependencies": {"ms": "2.1.3"}, "scripts": {"start": "node server.js"}}')
    (place / "package-lock.json").unlink()
    (place / "built.txt").write_text("not at all")
    assert "npm install" in pushed(shell, "One")
    assert daemon.get("linked")[1].endswith("not at all, two days are 172800000 ms\n")
    assert shell.run("paas", "run", "--", "readlink node_modules").strip().endswith("/node_modules")
    (place / "built.txt").write_text("changed")
    assert "Using the dependencies of the build before" in pushed(shell, "Two")
    assert "changed, two days" in daemon.get("linked")[1]
    if os.geteuid() == 0:
        code, _ = shell.attempt("paas", "run", "--", "touch node_modules/ms/spoilt")
        assert code != 0, "a dyno wrote into what all releases share"


@pytest.mark.parametrize("manager", ["yarn", "pnpm"])
def test_other_managers_are_brought_by_npm(daemon: Daemon, shell: Shell, manager: str) -> None:
    """Bites: a recipe for images alone (the push is told to use Docker); without pruning is-number is still there."""
    name = f"by-{manager}"
    place = opened(shell, name, manager)
    assert f"installing with {manager} by" in pushed(shell, "One")
    status, page = daemon.get(name)
    assert status == 200 and "built with is-number: true, two days" in page
    assert "is-number" not in shell.run("paas", "run", "--", "ls node_modules")
    server = place / "server.js"
    server.write_text(server.read_text().replace("two", "Two"))
    assert "Using the dependencies of the build before" in pushed(shell, "Two")
    assert "Two days" in daemon.get(name)[1]
