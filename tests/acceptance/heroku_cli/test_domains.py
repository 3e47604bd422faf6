"""Domains with the official CLI and with curl through the real router, http and https. Row S07."""

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import HELLO, Shop
from tests.daemon import Daemon, shell_for

S07_TITLE = "domains that are another app's, the platform's own, or no host names, through API, CLI and router"
pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(240)]


def ask(shop: Shop, host: str, scheme: str = "http", **headers: str) -> tuple[int, str]:
    """(status, body) of the router's answer to a request for that host."""
    url = f"{scheme}://127.0.0.1:{shop.daemon.router_port}/"
    request = urllib.request.Request(url, headers={"Host": host, **headers})
    context = ssl._create_unverified_context() if scheme == "https" else None
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.row("S07", S07_TITLE)
def test_from_add_to_clear(heroku: Terminal, shop: Shop) -> None:
    """Bites: without wildcards in router/state.py, `any.wild.example.org` gets 404."""
    own = ask(shop, f"{shop.name}.localhost")
    assert own[0] == 200
    assert ask(shop, "www.example.org")[0] == 404
    added = heroku("domains:add", "WWW.Example.org")
    assert f"Adding WWW.Example.org to {shop.name}... done" in added
    assert f"DNS Target {shop.name}.localhost" in added
    for scheme in ("http", "https"):
        assert ask(shop, "www.example.org", scheme) == own
    for host in ("WWW.EXAMPLE.ORG", "www.example.org.", f"www.example.org:{shop.daemon.router_port}"):
        assert ask(shop, host) == own
    heroku("domains:add", "*.wild.example.org")
    heroku("domains:add", "bücher.example")
    for host in ("any.wild.example.org", "a.b.wild.example.org", "xn--bcher-kva.example"):
        assert ask(shop, host) == own
    listed = heroku("domains")
    for hostname in ("www.example.org", "*.wild.example.org", "xn--bcher-kva.example"):
        assert hostname in listed
    assert "hostname:" in heroku("domains:info", "www.example.org")
    assert "done" in heroku("domains:wait", "www.example.org")
    assert shop.shell.run("paas", "domains").count(f"{shop.name}.localhost") == 4
    heroku("domains:remove", "xn--bcher-kva.example")
    assert ask(shop, "xn--bcher-kva.example")[0] == 404
    heroku("domains:clear")
    assert ask(shop, "www.example.org")[0] == 404 and ask(shop, f"{shop.name}.localhost") == own


@pytest.mark.row("S07", S07_TITLE)
def test_another_app_gets_none_of_it(heroku: Terminal, shop: Shop, daemon: Daemon, tmp_path: Path) -> None:
    """Bites: with X-Forwarded-Host believed, or the host in the 404, the last lines fail."""
    heroku("domains:add", "mine.example.org")
    other = Shop(daemon, shell_for(daemon, tmp_path, HELLO), "grasping").create()
    try:
        for hostname in ("MINE.example.org.", f"{shop.name}.localhost", "*.localhost", "127.0.0.1", "localhost"):
            assert "Error ID: invalid_params" in heroku("domains:add", hostname, "-a", other.name, code=2)
        assert daemon.call("GET", f"/apps/{other.name}/domains")[1][0]["hostname"] == f"{other.name}.localhost"
    finally:
        other.call("DELETE")
    status, body = ask(shop, "nobody-has-this.example.org", **{"X-Forwarded-Host": "mine.example.org"})
    assert status == 404 and "nobody-has-this" not in body and "mine.example" not in body
