"""A third party's service (examples/addon-partner, a process of its own) driven with the official CLI, on the engine
that needs no Docker: the whole life of its add-ons, and what happens when it or the daemon dies on the way."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tests.daemon import Daemon, Shell, running_alone, shell_for, wait_until
from tests.keeper import PASSWORD, SALT, Keeper, ask

pytestmark = [pytest.mark.heroku_cli, pytest.mark.timeout(240)]

SERVER = """
import http.server, os, urllib.request

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.request.Request(os.environ["KEEPER_URL"] + "/values")
        asked.add_header("Authorization", "Bearer " + os.environ["KEEPER_TOKEN"])
        with urllib.request.urlopen(asked, timeout=10) as reply:
            body = reply.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
"""
FILES = {"server.py": SERVER, "Procfile": "web: python3 -I -S server.py\n", "requirements.txt": ""}


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    one = Keeper(tmp_path_factory.mktemp("keeper")).start()
    yield one
    one.kill()


@pytest.fixture(scope="module")
def daemon(keeper: Keeper) -> Iterator[Daemon]:
    config = {
        "addons": {"partners": [str(keeper.file)], "timeout": 30.0},
        "web": {"allow_private": ["127.0.0.0/8"]},
        "dynos": {"boot_timeout": 10.0},
        "deploy": {"wait": 5.0, "grace": 5.0},
    }
    with running_alone(config, ("--engine", "process")) as daemon:
        yield daemon


@pytest.fixture
def shell(daemon: Daemon, tmp_path: Path) -> Iterator[Shell]:
    shell = shell_for(daemon, tmp_path / "user")
    shell.run("heroku", "apps:create", "shop")
    yield shell
    daemon.call("DELETE", "/apps/shop")


def words(text: str) -> str:
    """On one line, without the CLI's margin."""
    return " ".join(text.replace("›", "").split())


def config(shell: Shell) -> dict[str, str]:
    return dict(json.loads(shell.run("heroku", "config", "--json", "-a", "shop")))


def test_the_life_of_one(shell: Shell, daemon: Daemon, keeper: Keeper) -> None:
    assert "keeper" in shell.run("heroku", "addons:services")
    assert "keeper:large" in shell.run("heroku", "addons:plans", "keeper")
    shell.run("heroku", "addons:create", "keeper:small", "--name", "shelf", "-a", "shop")
    shell.run("heroku", "addons:wait", "shelf", "-a", "shop")
    given = config(shell)
    assert given == {"KEEPER_URL": keeper.url, "KEEPER_TOKEN": next(iter(keeper.resources().values()))["token"]}
    info = shell.run("heroku", "addons:info", "KEEPER", "-a", "shop")
    assert "shelf" in info and "keeper:small" in info and "shop::KEEPER" in info
    assert "Attach KEEPER (@shelf)" in shell.run("heroku", "releases", "-a", "shop")

    shell.commit("A shop that keeps", FILES)
    shell.run("git", "push", "heroku", "HEAD:main")
    assert ask("PUT", f"{given['KEEPER_URL']}/values/tea", given["KEEPER_TOKEN"], b"green")[0] == 204
    assert daemon.get("shop") == (200, '{"tea": "green"}')

    shell.run("heroku", "addons:upgrade", "shelf", "keeper:large", "-a", "shop")
    assert [one["plan"] for one in keeper.resources().values()] == ["large"]
    for key in "abc":
        ask("PUT", f"{given['KEEPER_URL']}/values/{key}", given["KEEPER_TOKEN"], b"1")
    refused = words(shell.run("heroku", "addons:upgrade", "shelf", "keeper:small", "-a", "shop", ok=False))
    assert "Keeper refuses this plan: 4 values are kept, of 3." in refused

    for page in (
        shell.run("heroku", "addons:open", "KEEPER", "--show-url", "-a", "shop"),
        shell.run("paas", "addons:open", "shelf", "--show-url", "-a", "shop"),
    ):
        assert "shelf (large)" in browse(page.strip()) and "tea: green" in browse(page.strip())

    shell.run("heroku", "addons:destroy", "shelf", "--confirm", "shop", "-a", "shop")  # `--wait` asks each five seconds
    wait_until(lambda: keeper.resources() == {}, 10, "the partner has something still")
    assert config(shell) == {}
    logged = daemon.log.read_text() + shell.run("heroku", "logs", "-a", "shop")
    assert PASSWORD not in logged and SALT not in logged and given["KEEPER_TOKEN"] not in logged


def browse(url: str) -> str:
    """What a browser shows in the end: the page posts its form by itself."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(url, timeout=10) as reply:
        text = reply.read().decode()
    [action] = re.findall(r'action="([^"]+)"', text)
    fields = {name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', text)}
    fields.pop("viewport", None)
    with opener.open(unescape(action), urllib.parse.urlencode(fields).encode(), timeout=10) as reply:
        return str(reply.read().decode())


def test_one_that_takes_its_time(shell: Shell, daemon: Daemon, keeper: Keeper) -> None:
    """Its partner finishes it at our API, though the daemon is killed before it does."""
    shell.run("heroku", "addons:create", "keeper:small", "--name", "slow", "-a", "shop", "--", "--slow")
    shell.run("heroku", "addons:wait", "slow", "-a", "shop")
    assert config(shell).keys() == {"KEEPER_URL", "KEEPER_TOKEN"}

    shell.run("heroku", "addons:create", "keeper:small", "--name", "never", "-a", "shop", "--", "--slow=never")
    wait_until(lambda: len(keeper.resources()) == 2, 10, "the partner was not asked")
    before = keeper.resources()
    daemon.kill()
    daemon.start()
    [addon] = [one for one in daemon.call("GET", "/apps/shop/addons")[1] if one["name"] == "never"]
    assert (addon["state"], keeper.resources()) == ("provisioning", before)
    given = {"config": [{"name": "KEEPER_URL", "value": "https://by.hand"}]}
    assert daemon.call("PATCH", f"/addons/{addon['id']}/config", given)[0] == 200
    assert daemon.call("POST", f"/addons/{addon['id']}/actions/provision")[0] == 200
    shell.run("heroku", "addons:wait", "never", "-a", "shop")
    assert "https://by.hand" in config(shell).values()


@pytest.mark.slow
def test_one_that_cannot_be_had(shell: Shell, keeper: Keeper) -> None:
    """Nothing is left of it, here or there."""
    shell.run("heroku", "addons:create", "keeper:small", "--name", "full", "-a", "shop", "--", "--fail")
    said = words(shell.run("heroku", "addons:wait", "full", "-a", "shop", ok=False))
    assert "Keeper is full: try again next week." in said
    shell.run("heroku", "addons:create", "keeper:small", "--name", "given-up", "-a", "shop", "--", "--slow=fail")
    said = words(shell.run("heroku", "addons:wait", "given-up", "-a", "shop", ok=False))
    assert "Keeper could not provide it." in said
    assert config(shell) == {}
    assert shell.run("heroku", "addons", "-a", "shop") == "No add-ons for app shop.\n"
    wait_until(lambda: keeper.resources() == {}, 10, "the partner has something still")
    said = words(shell.run("heroku", "addons:create", "keeper:huge", "-a", "shop", ok=False))
    assert "keeper:small, keeper:large" in said


@pytest.mark.slow
def test_a_partner_that_is_away(shell: Shell, keeper: Keeper) -> None:
    keeper.kill()
    shell.run("heroku", "addons:create", "keeper:small", "--name", "patient", "-a", "shop")
    keeper.start()
    shell.run("heroku", "addons:wait", "patient", "-a", "shop")
    assert config(shell).keys() == {"KEEPER_URL", "KEEPER_TOKEN"}
    shell.run("heroku", "addons:destroy", "patient", "--confirm", "shop", "-a", "shop", "--wait")
    assert keeper.resources() == {}
