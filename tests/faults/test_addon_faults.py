"""X01: a PostgreSQL add-on whose container, engine and daemon are killed, and whose app is destroyed: no row is lost.

The engine is the test's own. That a rotated password is refused at once is in tests/contracts/test_addon_provider.py.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.conftest import STACK_IMAGE
from tests.daemon import running_alone, wait_until
from tests.faults.own_engine import OwnEngine, needs_own_engine, own_engine

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(420), needs_own_engine]

Record = Callable[[str, object], None]

IMAGE = "paasd/postgresql:15"
READY_SECONDS = 120.0
BACK_SECONDS = 60.0
GONE_SECONDS = 12.0
SUM = "SELECT count(*), md5(string_agg(v, ',' ORDER BY n)) FROM kept"
FILL = "CREATE TABLE kept AS SELECT n, md5(n::text) AS v FROM generate_series(1, 10000) n"


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine(images=(STACK_IMAGE, IMAGE)) as engine:
        yield engine


@pytest.fixture(scope="module")
def shop(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An app that serves."""
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "docker": engine.settings}
    with running_alone(config) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("addons"), "data")
        shop.deploy()
        yield shop


@pytest.mark.row("X01", "a PostgreSQL add-on: its container, the daemon and dockerd killed; its app destroyed")
def test_x01_no_row_is_lost(shop: Shop, engine: OwnEngine, record_property: Record) -> None:
    """Bites: DockerAddons.mend without its start: the container that was killed stays down."""
    status, made = shop.call("POST", "/addons", {"plan": "heroku-postgresql:essential-0"})
    assert status in (200, 201, 202), made
    wait_until(lambda: "DATABASE_URL" in config(shop), READY_SECONDS, f"not attached: {shop.log()}")
    url = config(shop)["DATABASE_URL"]
    assert ask(url, FILL) is not None
    kept, releases = ask(url, SUM), len(shop.call("GET", "/releases")[1])
    assert kept is not None and kept.startswith("10000|")
    container = engine.docker("ps", "-q", "--filter", "label=paasd.addon").strip()
    assert engine.docker(
        "inspect", "--format", "{{.HostConfig.PortBindings}}{{.NetworkSettings.Ports}}", container
    ) in (
        "map[]map[]\n",
        "map[]map[5432/tcp:[]]\n",
    )

    def kill_container() -> None:
        engine.docker("kill", "--signal", "KILL", container)

    def kill_server() -> None:
        os.kill(int(engine.docker("inspect", "--format", "{{.State.Pid}}", container)), signal.SIGKILL)

    def kill_daemon_too() -> None:
        shop.daemon.kill()
        kill_container()
        shop.daemon.start()

    def kill_engine() -> None:
        engine.end(signal.SIGKILL)
        return_of(engine)

    def end_engine() -> None:
        engine.end(signal.SIGTERM)
        return_of(engine)

    for fault in (kill_container, kill_server, kill_daemon_too, kill_engine, end_engine):
        fault()
        began = time.monotonic()
        wait_until(lambda: ask(url, SUM) == kept, BACK_SECONDS, f"{fault.__name__}: {engine.docker('ps', '-a')}")
        record_property(f"{fault.__name__}_s", round(time.monotonic() - began, 2))
    assert config(shop)["DATABASE_URL"] == url
    assert len(shop.call("GET", "/releases")[1]) == releases

    volume = engine.docker("volume", "ls", "-q", "--filter", "label=paasd.addon").strip()
    assert shop.call("DELETE", "/")[0] == 200 or shop.call("DELETE")[0] == 200
    wait_until(lambda: ask(url, SUM) is None, BACK_SECONDS, "the database still answers")
    assert engine.docker("volume", "ls", "-q", "--filter", "label=paasd.addon").strip() == volume


def return_of(engine: OwnEngine) -> None:
    """Started once its containerd, which goes after it, is gone too."""
    ended = time.monotonic()
    wait_until(lambda: time.monotonic() - ended > GONE_SECONDS, 20, "")
    engine.start()


def config(shop: Shop) -> dict[str, Any]:
    return dict(shop.call("GET", "/config-vars")[1])


def ask(url: str, sql: str) -> str | None:
    """What psql of this host prints; None where that fails."""
    psql = next(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    environment = {"PGCONNECT_TIMEOUT": "3", "PATH": os.environ["PATH"]}
    words = [str(psql), "-qAtX", "-v", "ON_ERROR_STOP=1", url, "-c", sql]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
