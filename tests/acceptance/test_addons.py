"""Add-ons with `paas` and a real PostgreSQL: what is written stays, whatever is killed or destroyed."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, open_shop, rejected
from tests.daemon import Daemon, running_alone, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
POINTS = ("addon-row", "addon-made", "addon-provisioned", "addon-released")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_alone({}) as daemon:
        yield daemon


@pytest.fixture
def shop(daemon: Daemon, tmp_path: Path) -> Iterator[Shop]:
    """An app without a release to run."""
    shop = open_shop(daemon, tmp_path, "shop")
    yield shop
    if daemon.process is None or daemon.process.poll() is not None:
        daemon.start()
    shop.call("DELETE")


def server_of(shop: Shop, addon: str) -> str:
    """The container of its server; AssertionError unless there is one."""
    found = docker("ps", "-q", "--filter", f"label=paasd.addon={shop.daemon.call('GET', f'/addons/{addon}')[1]['id']}")
    [container] = found.split()
    return container


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def ask(shop: Shop, addon: str, sql: str) -> str:
    """Asked as the app would, beside the server."""
    url = shop.call("GET", "/config-vars")[1]["DATABASE_URL"]
    return docker(
        "exec", "--env", f"URL={url}", server_of(shop, addon), "sh", "-c", f'psql -qtA "$URL" -c "{sql}"'
    ).strip()


def descriptions(shop: Shop) -> list[str]:
    return [str(one["description"]) for one in shop.call("GET", "/releases")[1]]


def test_rows_outlive_a_killed_server_and_a_destruction(shop: Shop) -> None:
    paas = shop.shell.run
    assert "as DATABASE_URL" in paas("paas", "addons:create", "postgresql:mini", "--name", "orders", "--wait")
    ask(shop, "orders", "create table sold (what text); insert into sold values ('tea')")
    docker("kill", "--signal", "KILL", server_of(shop, "orders"))
    wait_until(lambda: up(shop), 60, "the killed server was not started again")
    assert ask(shop, "orders", "select what from sold") == "tea"
    paas("paas", "addons:destroy", "orders", "--confirm", shop.name, "--wait")
    assert "DATABASE_URL" not in shop.call("GET", "/config-vars")[1]
    assert "orders" in paas("paas", "addons", "--destroyed")
    assert "as DATABASE_URL" in paas("paas", "addons:undestroy", "orders")
    assert ask(shop, "orders", "select what from sold") == "tea"
    assert descriptions(shop) == [
        "Initial release", "Attach DATABASE (@orders)", "Detach DATABASE (@orders)", "Attach DATABASE (@orders)"
    ]  # fmt: skip


def up(shop: Shop) -> bool:
    try:
        return ask(shop, "orders", "select 1") == "1"
    except (subprocess.CalledProcessError, ValueError):
        return False


def test_app_json_has_its_addons_before_the_first_release(shop: Shop) -> None:
    """Bites: Builds.release without `provide`: the release command fails."""
    wanted = {"addons": [{"plan": "heroku-postgresql:mini", "as": "MAIN"}, "papertrail:choklad"]}
    procfile = 'release: test -n "$MAIN_URL" && echo has $MAIN_URL | cut -c -15\nweb: python3 -I -S server.py\n'
    code, said = shop.push({"app.json": '{"addons": ["No Such Thing"]}'})
    assert code != 0 and 'write each of "addons"' in rejected(said)
    code, said = shop.push({"app.json": '{"addons": ["heroku-postgresql:hobby-dev"]}'})
    assert code != 0 and "heroku-postgresql:hobby-dev" in rejected(said), said
    said = shop.deploy({"Procfile": procfile, "app.json": json.dumps(wanted)})
    assert "which app.json asks for" in said and "has postgres://" in said
    assert "wants the add-on papertrail:choklad, which there is not here" in said
    [addon] = shop.call("GET", "/addons")[1]
    assert [one.partition(" (")[0] for one in descriptions(shop)[:2]] == ["Initial release", "Attach MAIN"]
    assert (addon["state"], addon["plan"]["name"]) == ("provisioned", "heroku-postgresql:mini")
    shop.deploy({"web.txt": "again"})
    assert len(shop.call("GET", "/addons")[1]) == 1


def test_no_dyno_keeps_a_dead_password_though_the_rotation_s_release_fails(shop: Shop) -> None:
    """The release with the new password does not start; its dynos start anew with it all the same. Bites:
    AddonReleases without `_renew`: v3 serves on, with a password that the server refuses."""
    paas = shop.shell.run
    shop.deploy({"Procfile": 'web: test "$HEROKU_RELEASE_VERSION" != v4 && exec python3 -I -S server.py\n'})
    paas("paas", "addons:create", "postgresql:mini", "--name", "orders", "--wait")
    wait_until(lambda: shop.served() == "v3", 60, "the attachment is not served")
    dead = str(shop.call("GET", "/config-vars")[1]["DATABASE_URL"])
    paas("paas", "pg:credentials:rotate", "--confirm", shop.name)
    assert shop.released(4)["status"] == "failed"
    wait_until(lambda: shop.get()[0] == 200 and shop.served() == "v5", 60, "the new password is not served")
    assert descriptions(shop)[3:] == ["Update DATABASE by heroku-postgresql"] * 2
    [container] = shop.containers(all=False).values()
    environment = shop.inspect(container, "{{.Config.Env}}")
    assert dead not in environment and str(shop.call("GET", "/config-vars")[1]["DATABASE_URL"]) in environment
    assert ask(shop, "orders", "select 1") == "1"


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_daemon_killed_while_it_provisions_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """One server, one release, whatever it died at. Bites: without `mend_addons` among the chores, it stays there."""
    shop.daemon.stop()
    monkeypatch.setenv("PAASD_FAILPOINTS", f"{point}:kill")
    shop.daemon.start()
    monkeypatch.delenv("PAASD_FAILPOINTS")
    process = shop.daemon.process
    assert process is not None
    shop.shell.attempt("paas", "addons:create", "postgresql:mini", "--name", "orders")  # it may die before it answers
    assert process.wait(60) == -signal.SIGKILL
    shop.daemon.process = None
    shop.daemon.start()
    shop.shell.run("paas", "addons:wait", "orders")
    wait_until(lambda: "DATABASE_URL" in shop.call("GET", "/config-vars")[1], 60, "the app did not get it")
    assert ask(shop, "orders", "select 1") == "1"
    assert descriptions(shop) == ["Initial release", "Attach DATABASE (@orders)"]
