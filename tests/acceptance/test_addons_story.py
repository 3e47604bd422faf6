"""A Django app and its PostgreSQL with the official CLI: created, written to, rotated, backed up, lost, restored.

Then rolled back; after each step the data is looked at. In a container, on this machine's own server, and on one that
somebody already runs.
"""

import http.client
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from paasd.domain.addon import Kind
from tests.acceptance.shop import Shop
from tests.contracts.addon_benches import require
from tests.contracts.own_postgres import OwnPostgres
from tests.daemon import ROOT, Daemon, running, shell_for, wait_until

POLLS = ROOT / "examples" / "django-polls"
pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=["docker", "process", "shared"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Add-ons are containers beside Docker's dynos, and this machine's own servers beside plain processes; or roles on
    a server that somebody already runs."""
    require(Kind.POSTGRESQL)
    root, engine, config, server = Path(tempfile.mkdtemp(prefix="paasd-")), request.param, {}, None
    if engine == "shared":
        root.chmod(0o711)
        server = OwnPostgres.make(root / "operators")
        engine, config = "process", {"addons": {"provider": "shared", "shared": {"postgresql": server.url}}}
    with running(root, options=("--engine", engine), config=config) as daemon:
        yield daemon
        for addon in daemon.call("GET", "/addons")[1]:
            daemon.call("DELETE", f"/apps/{addon['app']['name']}/addons/{addon['id']}", {"force": True})
        wait_until(lambda: daemon.call("GET", "/addons")[1] == [], 60, "an add-on stayed")
    if server is not None:
        server.stop(signal.SIGQUIT)
    shutil.rmtree(root, ignore_errors=True)


def opened(daemon: Daemon, place: Path, name: str) -> Shop:
    """An app with the polls in its repository; nothing is pushed yet."""
    place.mkdir()
    return Shop(daemon, shell_for(daemon, place, POLLS), name).create()


def vote(shop: Shop) -> None:
    """As a browser does: the form, its token, the choice that comes first."""
    connection = http.client.HTTPConnection("127.0.0.1", shop.daemon.router_port, timeout=30)
    host = {"Host": f"{shop.name}.localhost:{shop.daemon.router_port}"}
    connection.request("GET", "/1/", headers=host)
    answer = connection.getresponse()
    page, cookie = answer.read().decode(), str(answer.getheader("Set-Cookie")).partition(";")[0]
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    choice = re.search(r'name="choice"[^>]*value="(\d+)"', page)
    assert token and choice, page
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], "choice": choice[1]})
    headers = {**host, "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/1/vote/", body=form, headers=headers)
    assert connection.getresponse().status == 302
    connection.close()


def votes(shop: Shop) -> int:
    """As SQL has them, through the daemon."""
    said = shop.shell.run("paas", "pg:psql", "-c", "select coalesce(sum(votes), 0) as sum from polls_choice")
    found = re.search(r"^\s*(\d+)\s*$", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1])


def lets_in(url: str) -> bool:
    words = ["psql", "-qAtX", url, "-c", "select 1"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30).stdout.strip() == "1"


def url_of(shop: Shop) -> str:
    return str(shop.call("GET", "/config-vars")[1]["DATABASE_URL"])


def test_the_story(daemon: Daemon, tmp_path: Path) -> None:
    shop = opened(daemon, tmp_path / "shop", "polls")
    heroku = shop.shell.run
    heroku("heroku", "addons:create", "heroku-postgresql:essential-0", "--name", "answers", "--wait")
    heroku("heroku", "pg:wait")
    said = shop.deploy()
    assert "Applying polls.0001_initial... OK" in said
    vote(shop)
    assert votes(shop) == 1

    before = url_of(shop)
    heroku("heroku", "pg:credentials:rotate", "--confirm", shop.name)
    assert not lets_in(before) and lets_in(url_of(shop))
    wait_until(lambda: serves(shop, current(shop)), 60, "the release with the new password is not served")
    vote(shop)
    assert votes(shop) == 2

    heroku("heroku", "pg:backups:capture")
    heroku("paas", "pg:psql", "-c", "update polls_choice set votes = 0")
    assert votes(shop) == 0
    heroku("heroku", "pg:backups:restore", "b001", "--confirm", shop.name)
    assert votes(shop) == 2

    shop.deploy({"polls/later.py": "LATER = True\n"})
    assert votes(shop) == 2
    first = next(one["version"] for one in shop.call("GET", "/releases")[1] if one["description"].startswith("Deploy"))
    heroku("heroku", "rollback", f"v{first}")
    wait_until(lambda: serves(shop, current(shop)), 60, "the rollback is not served")
    assert url_of(shop) != before and lets_in(url_of(shop))  # the password of then is dead, and stays so
    vote(shop)
    assert votes(shop) == 3


def serves(shop: Shop, version: str) -> bool:
    """Whether the page tells that release."""
    status, page = shop.daemon.get(shop.name)
    return status == 200 and re.search(rf"\b{version}\b", str(page)) is not None


def current(shop: Shop) -> str:
    return next(f"v{one['version']}" for one in shop.call("GET", "/releases")[1] if one["current"])


def test_another_app_reaches_neither_server_nor_data(daemon: Daemon, tmp_path: Path) -> None:
    """A container is out of another app's reach, whatever it knows; a server on loopback asks for the password, which
    it does not know. Bites: attached to the other app, too, the same question is answered."""
    shop, other = opened(daemon, tmp_path / "shop", "own"), opened(daemon, tmp_path / "other", "other")
    shop.shell.run("paas", "addons:create", "postgresql:mini", "--name", "secrets", "--wait")
    other.deploy()
    assert "rows (1,)" not in asked(other, guessed(shop), ok=False)
    other.shell.run("paas", "addons:attach", "secrets", "--as", "SECRETS")
    said = asked(other, str(other.call("GET", "/config-vars")[1]["SECRETS_URL"]))
    assert "rows (1,)" in said


def guessed(shop: Shop) -> str:
    """What another app may have found out: in Docker all of it, on loopback not the password."""
    url = url_of(shop)
    return url if "127.0.0.1" not in url and "localhost" not in url else re.sub(r":[0-9a-f]{40,}@", ":guess@", url)


def asked(shop: Shop, url: str, *, ok: bool = True) -> str:
    """What a dyno of the app is answered at that URL."""
    words = f"import psycopg; print('rows', psycopg.connect('{url}', connect_timeout=5).execute('select 1').fetchone())"
    return shop.shell.run("paas", "run", f'python -c "{words}"', ok=ok)
