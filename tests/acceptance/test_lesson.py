"""The lesson of the README, typed as it stands there, without -a: with the official heroku CLI, and with paas."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, docker
from tests.daemon import ROOT, Daemon, Shell, wait_until

POLLS = ROOT / "examples" / "django-polls"
User = Callable[[Path | None], Shell]


def table(text: str) -> list[str]:
    """The rows of a table of releases, each squeezed to single spaces."""
    return [" ".join(line.split()) for line in text.splitlines() if re.match(r"\s*v\d+\s", line)]


@pytest.mark.docker
@pytest.mark.heroku_cli
@pytest.mark.timeout(420)
def test_the_lesson_with_the_official_cli(daemon: Daemon, user: User) -> None:
    take_the_lesson(daemon, user(POLLS))


def take_the_lesson(daemon: Daemon, shell: Shell) -> None:
    """From an empty platform to a rollback and back to an empty platform, in a repository with the polls app."""
    first = shell.commit("Polls, first version")
    shell.run("heroku", "apps:create", "shop")
    shell.run("paas", "git:remote", "-a", "shop")
    assert "H81" in daemon.get("shop")[1] or daemon.get("shop")[0] == 502

    pushed = shell.run("git", "push", "heroku", "main", seconds=240)
    assert re.search(r"^remote:.*Running the release command: python manage.py migrate", pushed, re.MULTILINE)
    assert re.search(r"^remote:.*Applying polls\.0001_initial\.\.\. ?OK", pushed, re.MULTILINE)
    assert f"http://shop.localhost:{daemon.router_port}/" in pushed
    assert table(shell.run("heroku", "releases"))[0].startswith(f"v2 Deploy {first[:8]}")
    assert "Current: v2" in shell.run("heroku", "releases")

    status, page = daemon.get("shop")
    assert status == 200
    assert "v2" in page
    assert first[:8] in page

    info = shell.run("heroku", "releases:info", "v2")
    assert re.search(r"By: +owner@localhost", info)
    assert f"Deploy {first[:8]}" in info
    assert "Applying polls.0001_initial" in shell.run("heroku", "releases:output", "v2")

    assert "v3" in shell.run("heroku", "config:set", "GREETING=hello")
    assert daemon.released("shop", 3)["status"] == "succeeded"
    assert table(shell.run("heroku", "releases"))[0].startswith("v3 Set GREETING config vars")
    assert "hello" in daemon.get("shop")[1]
    assert "GREETING" in shell.run("heroku", "releases:info", "v3")

    shell.run("heroku", "maintenance:on")
    assert daemon.get("shop")[0] == 503
    assert shell.run("heroku", "maintenance").strip() == "on"
    shell.run("heroku", "maintenance:off")
    assert daemon.get("shop")[0] == 200
    assert shell.run("heroku", "maintenance").strip() == "off"

    assert "v4" in shell.run("heroku", "rollback", "v2")
    assert daemon.released("shop", 4)["status"] == "succeeded"
    rows = table(shell.run("heroku", "releases"))
    assert [row.split(" owner@")[0] for row in rows] == [
        "v4 Rollback to v2",
        "v3 Set GREETING config vars",
        f"v2 Deploy {first[:8]}",
        "v1 Initial release",
    ]
    page = daemon.get("shop")[1]
    assert "v4" in page
    assert first[:8] in page
    assert "GREETING" not in shell.run("heroku", "config")

    assert re.search(r"web\.1: up", shell.run("heroku", "ps"))
    logs = shell.run("heroku", "logs", "--num", "1000")
    assert "heroku[router]: at=info method=GET" in logs
    assert "app[web.1]:" in logs
    assert f"Web URL: http://shop.localhost:{daemon.router_port}/" in " ".join(shell.run("heroku", "apps:info").split())
    assert "Destroying" in shell.run("heroku", "apps:destroy", "--confirm", "shop")
    assert daemon.get("shop")[0] == 404
    assert daemon.call("GET", "/apps/shop")[0] == 404
    assert "heroku" not in shell.run("git", "remote")


@pytest.mark.docker
@pytest.mark.heroku_cli
@pytest.mark.timeout(300)
def test_releases_output_is_live_while_it_runs(daemon: Daemon, user: User) -> None:
    shell = user(ROOT / "examples" / "hello")
    shell.run("heroku", "apps:create", "live")
    shell.run("paas", "git:remote", "-a", "live")
    procfile = (shell.cwd / "Procfile").read_text()
    slow = "release: echo first; timeout 60 sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done'; echo last\n"
    shell.commit("Slow release", {"Procfile": slow + procfile})

    push = subprocess.Popen(
        ["git", "push", "--quiet", "heroku", "main"],
        cwd=shell.cwd,
        env=shell.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: daemon.call("GET", "/apps/live/releases/2")[0] == 200, 60, "v2 was not recorded")
    reader = subprocess.Popen(
        ["heroku", "releases:output", "v2"],
        cwd=shell.cwd,
        env=shell.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with reader, push:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"first\n"
        pending = daemon.call("GET", "/apps/live/releases/2")[1]["status"]
        [command] = Shop(daemon, shell, "live").containers().values()
        docker("exec", command, "touch", "/tmp/go")
        assert reader.stdout.read() == b"last\n"
    assert pending == "pending"
    assert (reader.returncode, push.returncode) == (0, 0)
    shell.run("paas", "apps:destroy", "--confirm", "live", "-a", "live")


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(420)
def test_the_lesson_with_paas(daemon: Daemon, user: User) -> None:
    shell = user(POLLS)
    first = shell.commit("Polls, first version")
    shell.run("paas", "apps:create", "stall")
    shell.run("paas", "git:remote", "-a", "stall")
    shell.run("git", "push", "paasd", "main", seconds=240)
    assert table(shell.run("paas", "releases"))[0].startswith(f"v2 Deploy {first[:8]}")
    info = shell.run("paas", "releases:info", "v2")
    for part in (first, "Ann <ann@example.org>", "Polls, first version", "sha256:", "release phase", "web"):
        assert part in info, part
    assert "Applying polls.0001_initial" in shell.run("paas", "releases:output", "v2")
    shell.run("paas", "config:set", "GREETING=hello", "SECRET_THING=hunter2")
    assert daemon.released("stall", 3)["status"] == "succeeded"
    info = shell.run("paas", "releases:info", "v3", "--json")
    assert "SECRET_THING" in info
    shell.run("paas", "maintenance:on")
    assert daemon.get("stall")[0] == 503
    assert shell.run("paas", "maintenance").strip() == "on"
    shell.run("paas", "maintenance:off")
    assert "v4" in shell.run("paas", "rollback", "v2")
    assert table(shell.run("paas", "releases"))[0].startswith("v4 Rollback to v2")
    assert daemon.get("stall")[0] == 200
    assert "web.1" in shell.run("paas", "ps")
    assert "heroku[router]" in shell.run("paas", "logs")
    assert "http://stall.localhost" in shell.run("paas", "apps:info")
    assert "up" in shell.run("paas", "router", "status")
    shell.run("paas", "apps:destroy", "--confirm", "stall")
    assert daemon.call("GET", "/apps/stall")[0] == 404
