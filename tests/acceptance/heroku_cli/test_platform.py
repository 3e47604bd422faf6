"""Domains, features, buildpacks, webhooks, log drains: what belongs to an app beside its releases."""

import re

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop
from tests.daemon import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(300)]


def test_domains(heroku: Terminal, shop: Shop) -> None:
    assert "Adding WWW.Example.org" in heroku("domains:add", "WWW.Example.org")
    assert "www.example.org" in heroku("domains")
    assert "hostname:" in heroku("domains:info", "www.example.org")
    assert "done" in heroku("domains:wait", "www.example.org")
    assert "done" in heroku("domains:remove", "www.example.org")
    heroku("domains:add", "a.example.org")
    assert "done" in heroku("domains:clear")
    assert "a.example.org" not in heroku("domains")
    assert "Error ID: invalid_params" in heroku("domains:add", "127.0.0.1", code=2)


def test_features(heroku: Terminal) -> None:
    assert "[+] preboot" in heroku("features")
    assert "Enabled:" in heroku("features:info", "preboot")
    assert "already enabled" in heroku("features:enable", "preboot", code=1, refused=True)
    assert "always start beside" in " ".join(heroku("features:disable", "preboot", code=2, refused=True).split())


def test_buildpacks(heroku: Terminal, shop: Shop) -> None:
    one, other = (
        "https://github.com/heroku/heroku-buildpack-python",
        "https://github.com/heroku/heroku-buildpack-nodejs",
    )
    assert f"Buildpack set. Next release on {shop.name} will use {one}" in heroku("buildpacks:set", one)
    heroku("buildpacks:add", other)
    assert [one in line or other in line for line in heroku("buildpacks").splitlines()[2:4]] == [True, True]
    heroku("buildpacks:remove", other)
    assert "Buildpacks cleared" in heroku("buildpacks:clear")
    assert "has no Buildpacks" in heroku("buildpacks")


def test_drains(heroku: Terminal, shop: Shop) -> None:
    """The paths hold whole URLs, percent-encoded."""
    url = "https://ann:s3cret@127.0.0.9:9/logs?x=1"
    assert heroku("drains").strip() == ""
    assert f"Successfully added drain {url}" in heroku("drains:add", url)
    [drain] = shop.call("GET", "/log-drains")[1]
    assert f"{url} ({drain['token']})" in heroku("drains")
    assert "has that drain already" in " ".join(heroku("drains:add", url, code=2, refused=True).split())
    assert f"Successfully removed drain {url}" in heroku("drains:remove", url)
    heroku("drains:add", "syslog://127.0.0.9:9")
    assert "Successfully removed drain" in heroku("drains:remove", shop.call("GET", "/log-drains")[1][0]["token"])
    assert shop.call("GET", "/log-drains")[1] == []
    assert "not a public address" in " ".join(heroku("drains:add", "syslog://10.0.0.1", code=2, refused=True).split())
    log = shop.daemon.log.read_text()
    assert "s3cret" not in log and "log-drains/(url)" in log


def test_webhooks(heroku: Terminal, shop: Shop) -> None:
    """The hook is at an address that can't be reached from here: what is told stays to be told."""
    assert "has no webhooks" in heroku("webhooks")
    heroku("webhooks:add", "-i", "api:domain", "-l", "sync", "-u", "https://127.0.0.9:9/hook")
    hook = shop.call("GET", "/webhooks")[1][0]["id"]
    assert hook in heroku("webhooks")
    assert "Include:" in heroku("webhooks:info", hook)
    heroku("domains:add", "told.example.org")
    wait_until(lambda: shop.call("GET", "/webhook-deliveries")[1], 30, "nothing is to be delivered")
    delivery = shop.call("GET", "/webhook-deliveries")[1][0]["id"]
    assert delivery in heroku("webhooks:deliveries")
    assert '"hostname"' in heroku("webhooks:deliveries:info", delivery)
    heroku("webhooks:update", hook, "-i", "api:app", "-l", "notify", "-u", "https://127.0.0.9:9/other")
    heroku("webhooks:remove", hook)
    assert "has no webhooks" in heroku("webhooks")


def test_apps_are_compared(heroku: Terminal, shop: Shop) -> None:
    assert (
        re.search(r"nothing|identical|property", heroku("apps:diff", shop.name, shop.name), re.IGNORECASE) is not None
    )
