"""Add-ons: a real PostgreSQL in a container, created, shared, changed and destroyed with the official CLI."""

import urllib.request

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(600)]


def test_what_there_is_to_be_had(heroku: Terminal) -> None:
    services = heroku("addons:services")
    assert "heroku-postgresql" in services and "heroku-redis" in services
    plans = heroku("addons:plans", "heroku-postgresql")
    assert "heroku-postgresql:essential-0" in plans and "free" in plans


def test_an_add_on_from_its_creation_to_its_end(heroku: Terminal, shop: Shop) -> None:
    made = heroku("addons:create", "heroku-postgresql:essential-0", "--name", "orders", "-a", shop.name)
    assert "orders is being created in the background" in made
    waited = heroku("addons:wait", "orders", "-a", shop.name)
    assert "Created orders as DATABASE_URL" in waited
    assert heroku("config:get", "DATABASE_URL").startswith("postgres://")
    assert "Attach DATABASE (@orders)" in heroku("releases")
    assert "heroku-postgresql:essential-0" in heroku("releases:info")
    listed = heroku("addons")
    assert "heroku-postgresql (orders)" in listed and "as DATABASE" in listed and "created" in listed
    assert f"{shop.name}::DATABASE" in heroku("addons:info", "DATABASE")

    page = heroku("addons:open", "DATABASE", "--show-url").strip()
    with urllib.request.urlopen(page, timeout=10) as reply:
        text = reply.read().decode()
    assert "orders" in text and f"{shop.name}::DATABASE" in text and "postgres://" not in text

    other = Shop(shop.daemon, shop.shell, "till")
    heroku("apps:create", other.name, "--no-remote")
    try:
        attached = heroku("addons:attach", "orders", "--as", "ORDERS", "-a", other.name)
        assert "Attaching orders as ORDERS to till" in attached.replace("⬢ ", "")
        assert heroku("config:get", "ORDERS_URL", "-a", other.name).startswith("postgres://")
        refused = heroku("addons:destroy", "orders", "-a", shop.name, "--confirm", shop.name, code=1)
        assert "attached to other apps" in " ".join(refused.replace("›", "").split())
        heroku("addons:detach", "ORDERS", "-a", other.name)
    finally:
        heroku("apps:destroy", other.name, "--confirm", other.name)

    assert "done" in heroku("addons:upgrade", "DATABASE", "heroku-postgresql:small")
    assert "renamed to receipts" in heroku("addons:rename", "orders", "receipts")
    refused = heroku("config:set", "DATABASE_URL=postgres://elsewhere", code=2)
    assert "Cannot overwrite attachment values DATABASE_URL" in " ".join(refused.replace("›", "").split())
    gone = heroku("addons:destroy", "receipts", "--confirm", shop.name, "--wait")
    assert "Destroying receipts" in gone
    assert heroku("addons") == f"No add-ons for app {shop.name}.\n"
    assert heroku("config:get", "DATABASE_URL").strip() == ""


WRONG = (
    (("addons:create", "mysql:big"), "Couldn't find either the add-on service or the add-on plan"),
    (("addons:create", "heroku-postgresql:huge"), "there are heroku-postgresql:essential-0"),
    (("addons:create", "heroku-postgresql:mini", "--name", "../x"), "An add-on's name starts with a letter"),
    (("addons:info", "nothing"), "Couldn't find that add"),
    (("addons:detach", "NOTHING"), "Couldn't find that add-on attachment"),
    (("addons:attach", "nothing"), "Couldn't find that add-on"),
)


@pytest.mark.parametrize(("command", "words"), WRONG, ids=[" ".join(command) for command, _ in WRONG])
def test_bad_input(shop: Shop, command: tuple[str, ...], words: str) -> None:
    said = " ".join(shop.shell.run("heroku", *command, "-a", shop.name, ok=False).replace("›", "").split())
    assert words in said, said
