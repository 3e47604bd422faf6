"""Features, buildpacks, log drains, and what there is one or none of: what belongs to an app beside its releases."""

import re

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(300)]


def test_features(heroku: Terminal) -> None:
    assert "[+] preboot" in heroku("features")
    assert "Enabled:" in heroku("features:info", "preboot")
    assert "already enabled" in heroku("features:enable", "preboot", code=1, refused=True)
    assert "always start beside" in " ".join(heroku("features:disable", "preboot", code=2, refused=True).split())


REFUSED = (  # by the CLI or by us; none of it is in the table
    (("labs:enable", "metal"), "there is only preboot here"),
    (("stack:set", "windows"), "there is only paasd-bookworm here"),
    (("addons:create", "mysql:mini"), "there are heroku-postgresql:essential-0"),
    (("addons:info", "db"), "Couldn't find that add-on"),
)


def test_what_there_is_one_of(shop: Shop) -> None:
    """A wish for another says what there is. Bites: with 404 for a wish, its words are missing."""
    run = shop.shell.run
    assert "[+] preboot" in run("paas", "features") and "local" in run("paas", "regions")
    assert "User Features owner@localhost" in run("heroku", "labs")
    assert "Enabled:" in run("heroku", "labs:info", "preboot")
    for command in ("teams", "addons:services"):
        run("heroku", command)
    wished = " ".join(run("heroku", "stack:set", "heroku-24").replace("›", "").split())
    assert "Warning: There is only the stack paasd-bookworm here" in wished
    for refused, words in REFUSED:
        said = " ".join(run("heroku", *refused, "-a", shop.name, ok=False).replace("›", "").split())
        assert words in said, said
    elsewhere = run("heroku", "apps:create", "elsewhere", "--region", "mars", ok=False).replace("›", "")
    assert "there is only local here" in " ".join(elsewhere.split())


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


def test_apps_are_compared(heroku: Terminal, shop: Shop) -> None:
    assert (
        re.search(r"nothing|identical|property", heroku("apps:diff", shop.name, shop.name), re.IGNORECASE) is not None
    )
