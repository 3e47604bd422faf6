"""pg:* of the official CLI against a PostgreSQL in a container: no port of it is published, a local psql reaches it."""

import subprocess
from collections.abc import Iterator

import pytest

from paasd.adapters.docker_addon_server import SERVERS
from paasd.domain.addon import Kind
from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop
from tests.daemon import wait_until

pytestmark = [
    *(pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(600)),
]
QUERIES = (  # SQL of the CLI's own
    *("pg:bloat", "pg:blocking", "pg:cache-hit", "pg:extensions", "pg:index-size", "pg:index-usage"),
    *("pg:locks", "pg:long-running-queries", "pg:mandelbrot", "pg:records-rank", "pg:seq-scans"),
    *("pg:table-indexes-size", "pg:table-size", "pg:total-index-size", "pg:total-table-size", "pg:unused-indexes"),
    *("pg:user-connections", "pg:vacuum-stats"),
)


@pytest.fixture(scope="module")
def database(shop: Shop) -> Iterator[str]:
    """DATABASE, the first of two."""
    for name in ("orders", "receipts"):
        body = {"plan": {"name": "heroku-postgresql:essential-0"}, "name": name}
        assert shop.call("POST", "/addons", body)[0] == 201
    for name in ("orders", "receipts"):
        wait_until(lambda name=name: shop.call("GET", f"/addons/{name}")[1]["state"] == "provisioned", 120, name)
    yield "orders"


def test_a_database(heroku: Terminal, shop: Shop, database: str) -> None:
    heroku("pg:wait")
    shown = heroku("pg:info")
    assert database in shown and "PG Version" in shown
    heroku("pg:psql", "-c", "create table sold (what text); insert into sold values ('tea')")
    assert "tea" in heroku("pg:psql", "-c", "select what from sold")
    assert "pid" in heroku("pg:ps", "--verbose")
    heroku("pg:kill", "999999")
    assert "default" in heroku("pg:credentials")
    assert str(shop.call("GET", "/config-vars")[1]["DATABASE_URL"]) in heroku("pg:credentials:url")
    heroku("pg:promote", "receipts")
    assert "tea" not in heroku("pg:psql", "-c", "select 1")
    heroku("pg:promote", database)
    assert "tea" in heroku("pg:psql", "-c", "select what from sold")
    heroku("pg:reset", "--confirm", shop.name)
    assert "does not exist" in heroku("pg:psql", "-c", "select what from sold", code=1)


@pytest.mark.parametrize("query", ["pg:calls", "pg:outliers"])
def test_what_it_asks_of_statistics(heroku: Terminal, database: str, query: str) -> None:
    control = "/usr/share/postgresql/15/extension/pg_stat_statements.control"
    look = ["docker", "run", "--rm", "--entrypoint", "grep", SERVERS[Kind.POSTGRESQL].image, "-q", "trusted", control]
    if subprocess.run(look, check=False).returncode != 0:
        pytest.skip("the image was made before this, or is a registry's: deploy/setup/base-images --rebuild postgresql")
    assert database
    heroku("pg:psql", "-c", "create extension if not exists pg_stat_statements")
    heroku("pg:psql", "-c", "select count(*) from pg_class")
    assert "pg_class" in heroku(query)


@pytest.mark.parametrize("query", QUERIES)
def test_what_it_asks_a_database(heroku: Terminal, database: str, query: str) -> None:
    assert database
    heroku(query)
