"""What the CLI is used for most: releases, their output, rollback, maintenance. Part of every run."""

import json
import re

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import PROCFILE, Shop

pytestmark = [pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(240)]


def test_releases_and_rollback(shop: Shop, heroku: Terminal) -> None:
    shop.deploy({"Procfile": "release: echo migrated\n" + PROCFILE})
    listed = heroku("releases")
    assert f"=== {shop.name} Releases - Current: v3" in listed
    assert re.search(r"v3 +Deploy [0-9a-f]{8} +owner@localhost +\d{4}/\d\d/\d\d", listed)
    assert [release["version"] for release in json.loads(heroku("releases", "--json", "-n", "2"))] == [3, 2]
    assert re.search(r"By: +owner@localhost", heroku("releases:info", "v3"))
    assert heroku("releases:output") == "migrated\n"
    assert heroku("rollback", "v2") == f"Rolling back {shop.name} to v2... done, v4\n"
    assert shop.released(4)["status"] == "succeeded"
    assert "Error ID: not_found" in heroku("releases:info", "v99", code=2)


def test_maintenance(shop: Shop, heroku: Terminal) -> None:
    assert heroku("maintenance") == "off\n"
    assert heroku("maintenance:on") == f"Enabling maintenance mode for {shop.name}... done\n"
    assert shop.get()[0] == 503
    assert heroku("maintenance") == "on\n"
    assert heroku("maintenance:off") == f"Disabling maintenance mode for {shop.name}... done\n"
    assert shop.get()[0] == 200


@pytest.mark.slow
def test_a_release_is_tried_again(shop: Shop, heroku: Terminal) -> None:
    shop.deploy({"Procfile": "release: echo again\n" + PROCFILE})
    newest = shop.call("GET", "/releases")[1][-1]
    assert re.search(r"^ +release +Standard-2X", heroku("ps:type", "standard-2x"), re.MULTILINE)
    said = heroku("releases:retry")
    assert f"Retrying v{newest['version']} on" in said
    assert "again\n" in said
    retried = shop.released(newest["version"] + 1)
    assert (retried["status"], retried["slug"]) == ("succeeded", newest["slug"])
    assert retried["description"].startswith(f"Retry of v{newest['version']}")


@pytest.mark.slow
def test_the_app_is_opened(shop: Shop, heroku: Terminal) -> None:
    address = f"http://{shop.name}.localhost:{shop.daemon.router_port}/"
    assert heroku("apps:open", BROWSER="true") == f"Opening {address}...\n"
