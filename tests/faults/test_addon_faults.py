"""X01: a PostgreSQL add-on whose container, engine, daemon and host are killed, whose password is rotated meanwhile,
and whose app is destroyed: no row is lost, one password lets in, one release tells it. The engine is the test's own.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.conftest import STACK_IMAGE
from tests.daemon import running_alone, stop_router, wait_until
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


@pytest.mark.row(
    "X01",
    "a PostgreSQL add-on: its container, the daemon, dockerd and the host killed; rotated meanwhile; its app destroyed",
)
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

    def restart_host() -> None:
        """All that runs ends at once; then the engine is started, and the daemon."""
        containers = engine.docker("ps", "-q").split()
        pids = [int(pid) for pid in engine.docker("inspect", "--format", "{{.State.Pid}}", *containers).split()]
        shop.daemon.kill()
        stop_router(shop.daemon.home.parent / f"{shop.daemon.home.name}-router")
        engine.crash(pids)
        engine.start()
        shop.daemon.start()

    for fault in (kill_container, kill_server, kill_daemon_too, kill_engine, end_engine, restart_host):
        fault()
        began = time.monotonic()
        wait_until(lambda: ask(url, SUM) == kept, BACK_SECONDS, f"{fault.__name__}: {engine.docker('ps', '-a')}")
        record_property(f"{fault.__name__}_s", round(time.monotonic() - began, 2))
    assert config(shop)["DATABASE_URL"] == url
    assert len(shop.call("GET", "/releases")[1]) == releases
    wait_until(lambda: shop.get()[0] == 200, BACK_SECONDS, "the app does not serve")

    def rotate() -> tuple[int, Any]:
        name = made["name"]
        return shop.daemon.call("POST", f"/postgres/v0/databases/{name}/credentials_rotation", {})

    def rotate_and_kill_container() -> None:
        kill_container()
        status, said = rotate()
        assert status in (200, 503), said  # 503: it is done as soon as the server is up again

    def rotate_and_kill_daemon() -> None:
        """It is killed when the server has the new password, and nobody else."""
        shop.daemon.stop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PAASD_FAILPOINTS", "addon-rotated:kill")
            shop.daemon.start()
        with suppress(OSError):
            rotate()
        assert shop.daemon.process is not None and shop.daemon.process.wait(30) == -signal.SIGKILL
        shop.daemon.process = None
        assert ask(url, "SELECT 1") is None
        shop.daemon.start()

    def rotate_and_kill_engine() -> None:
        assert rotate()[0] == 200
        kill_engine()

    for fault in (rotate_and_kill_container, rotate_and_kill_daemon, rotate_and_kill_engine):
        record_property(f"{fault.__name__}_s", rotated_once(shop, fault, kept))
    url = config(shop)["DATABASE_URL"]

    volume = engine.docker("volume", "ls", "-q", "--filter", "label=paasd.addon").strip()
    assert shop.call("DELETE", "/")[0] == 200 or shop.call("DELETE")[0] == 200
    wait_until(lambda: ask(url, SUM) is None, BACK_SECONDS, "the database still answers")
    assert engine.docker("volume", "ls", "-q", "--filter", "label=paasd.addon").strip() == volume


def rotated_once(shop: Shop, fault: Callable[[], None], kept: str) -> float:
    """After the fault: seconds until the app is served with another password; it alone lets in, and one release that
    succeeded has told it (one that the fault made fail may stand before it)."""
    dead, before = config(shop)["DATABASE_URL"], len(shop.call("GET", "/releases")[1])
    fault()
    began = time.monotonic()
    wait_until(lambda: serves_after(shop, before), BACK_SECONDS, f"{fault.__name__}: {shop.log()}")
    took = round(time.monotonic() - began, 2)
    url = config(shop)["DATABASE_URL"]
    wait_until(lambda: ask(url, SUM) == kept, BACK_SECONDS, f"{fault.__name__}: its rows are gone")
    assert ask(dead, "SELECT 1") is None, f"{fault.__name__}: the old password lets in"
    new = shop.call("GET", "/releases")[1][before:]
    assert {str(one["description"]) for one in new} == {"Update DATABASE by heroku-postgresql"}, new
    assert [one["status"] for one in new if one["status"] != "failed"] == ["succeeded"], new
    return took


def serves_after(shop: Shop, version: int) -> bool:
    """Whether a release after that one is current, and its dynos answer."""
    status, page = shop.get()
    [current] = [one["version"] for one in shop.call("GET", "/releases")[1] if one["current"]]
    return current > version and status == 200 and page["release"] == f"v{current}"


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
