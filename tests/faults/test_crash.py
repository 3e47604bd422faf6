"""K01–K11: kill -9 of the daemon at each point of a push, under load: the release ends, and nothing is lost.

The load comes at a fixed rate through the router from before the kill to after the next push. Bites: with the settling
left out of the boot every row fails; with `swap-after` settled as failed without publishing, K09 loses requests.
"""

import secrets
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import Daemon, alone, wait_until
from tests.faults.checker import End, check
from tests.faults.history import RecordedDaemon

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]

RATE = 200.0
SETTLED_SECONDS = 10.0
CLEAN_SECONDS = 60.0
WITH_RELEASE = f"release: echo begun; sleep 1; echo done\n{PROCFILE}"

Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Row:
    """What is armed, and how the release must end: "" where there is none. `stage`: the one it is told by, or either of
    two where the record of the stage goes to the disk beside its beginning."""

    point: str
    status: str
    stage: str = ""
    procfile: str = PROCFILE


ROWS = [
    pytest.param(Row(point, status, stage, procfile), id=row, marks=pytest.mark.row(row, title))
    for row, title, point, status, stage, procfile in [
        ("K01", "killed while git uploads the pack", "receive-pack", "", "", PROCFILE),
        ("K02", "killed while the image is built", "build", "", "", PROCFILE),
        ("K03", "killed when the release is recorded", "release-row", "failed", "record", PROCFILE),
        ("K04", "killed while the release command runs", "release-phase", "failed", "release phase", WITH_RELEASE),
        (
            "K05",
            "killed between a container's creation and start",
            "container-create",
            "failed",
            "start dynos",
            PROCFILE,
        ),
        ("K06", "killed before the first health check", "start", "failed", "start dynos", PROCFILE),
        ("K07", "killed between two health checks", "health", "failed", "await healthy", PROCFILE),
        ("K08", "killed before the route is written", "swap-before", "failed", "await healthy|swap route", PROCFILE),
        ("K09", "killed after the route is written, before the commit", "swap-after", "succeeded", "", PROCFILE),
        ("K09", "killed after the commit, before anybody is told", "promote", "succeeded", "", PROCFILE),
        ("K10", "killed while the old dyno drains", "drain", "succeeded", "", PROCFILE),
        ("K11", "killed between the old dyno's stop and removal", "retire", "succeeded", "", PROCFILE),
    ]
]


@pytest.fixture(scope="module")
def daemon() -> Iterator[RecordedDaemon]:
    """One to kill, with its apps and router."""
    with alone(RecordedDaemon, {"deploy": {"wait": 20.0, "grace": 5.0, "drain": 10.0}}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shop(daemon: RecordedDaemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app that serves."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("crash"), "crash")
    shop.deploy()
    return shop


@pytest.mark.parametrize("row", ROWS)
def test_a_daemon_killed_in_a_push(
    shop: Shop, row: Row, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, record_property: Record
) -> None:
    clean(shop)
    before = shop.standing()
    version = before.releases[-1][0] + 1
    arm(shop.daemon, row.point, monkeypatch)
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        slow = SlowRequest(shop) if row.point == "drain" else None
        killed = push_until_killed(shop, row)
        assert shop.get()[0] == 200  # without any daemon
        shop.daemon.start()
        settled(shop, version, row)
        record_property("settled_s", round(time.monotonic() - killed, 2))
        clean(shop)
        record_property("clean_s", round(time.monotonic() - killed, 2))
        if slow is not None:
            assert slow.status() == 200
        again = max(release["version"] for release in shop.call("GET", "/releases")[1]) + 1
        shop.deploy({"Procfile": PROCFILE})
        assert shop.served() == f"v{again}"
        clean(shop)
        report = load.stop()
    assert [sample for sample in report.samples if sample.failure] == []
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))
    assert wrong(shop) == []


def arm(daemon: Daemon, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon again, with the point armed; the next one is not."""
    daemon.stop()
    monkeypatch.setenv("PAASD_FAILPOINTS", f"{point}:kill")
    daemon.start()
    monkeypatch.delenv("PAASD_FAILPOINTS")


def push_until_killed(shop: Shop, row: Row) -> float:
    """Push a change until the daemon has killed itself, and when that was (monotonic)."""
    bulk = secrets.token_hex(300_000) if row.point == "receive-pack" else ""
    shop.shell.commit("Doomed", {"Procfile": f"{row.procfile}# {time.monotonic_ns()}\n", "bulk.txt": bulk})
    with shop.pushing() as push:
        process = shop.daemon.process
        assert process is not None
        try:
            assert process.wait(60) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{row.point} was not reached:\n{push.communicate(timeout=60)[0]}") from None
        killed = time.monotonic()
        shop.daemon.process = None
        said, _ = push.communicate(timeout=30)
    assert push.returncode != 0 or row.status == "succeeded", said
    return killed


def settled(shop: Shop, version: int, row: Row) -> None:
    """The release has come to its end, with its reason; where none was recorded there is none, and no pending build."""
    wait_until(lambda: quiet(shop), SETTLED_SECONDS, "a release or a build stays pending")
    status, release = shop.call("GET", f"/releases/{version}")
    if not row.status:
        assert status == 404
        return
    assert release["status"] == row.status, shop.stages(version)
    if row.status == "failed":
        reason = next(entry["detail"] for entry in shop.stages(version) if entry["stage"] == "failed")
        assert reason in {f"daemon restarted during {stage}; release it again." for stage in row.stage.split("|")}
    assert shop.served() == current(shop)


def quiet(shop: Shop) -> bool:
    releases, builds = shop.call("GET", "/releases")[1], shop.call("GET", "/builds")[1]
    return not any(entry["status"] == "pending" for entry in [*releases, *builds])


def current(shop: Shop) -> str:
    return next(f"v{entry['version']}" for entry in shop.call("GET", "/releases")[1] if entry["current"])


def clean(shop: Shop) -> None:
    """Waits until nothing is left that the ledger does not want: as soon as that is so, not after a fixed time."""
    found: list[str] = []

    def tidy() -> bool:
        found[:] = orphans(shop.daemon)
        return not found

    try:
        wait_until(tidy, CLEAN_SECONDS, "left over")
    except AssertionError:
        raise AssertionError(f"left over: {found}") from None


def orphans(daemon: Daemon) -> list[str]:
    """Containers that are not the current release's, more of them than wanted, networks and images of no app or of
    failed builds, temporary folders, folders of no app."""
    apps = {app["id"]: app["name"] for app in daemon.call("GET", "/apps")[1]}
    home_id = (daemon.home / "id").read_text().strip()
    found = []
    wanted: dict[tuple[str, str], int] = {}
    builds: set[str] = set()
    for identity, name in apps.items():
        releases = daemon.call("GET", f"/apps/{name}/releases")[1]
        serving = next(str(entry["version"]) for entry in releases if entry["current"])
        formation = daemon.call("GET", f"/apps/{name}/formation")[1]
        wanted[identity, serving] = sum(entry["quantity"] for entry in formation)
        builds |= {
            entry["id"] for entry in daemon.call("GET", f"/apps/{name}/builds")[1] if entry["status"] != "failed"
        }
    for row in docker(
        "ps", "--all", "--format", '{{.Names}} {{.Label "paasd.app"}} {{.Label "paasd.version"}}', home_id
    ):
        container, app, version = row.split()
        wanted[app, version] = wanted.get((app, version), 0) - 1
        if wanted[app, version] < 0:
            found.append(f"container {container}")
    found += [
        f"{count} missing dynos of {apps[app]} v{version}" for (app, version), count in wanted.items() if count > 0
    ]
    for row in docker("network", "ls", "--format", '{{.Name}} {{.Label "paasd.app"}}', home_id):
        if row.split()[1] not in apps:
            found.append(f"network {row.split()[0]}")
    for image in set(docker("images", "--format", "{{.ID}}", home_id)):
        build = inspect(image, '{{index .Config.Labels "paasd.build"}}')
        if build and build not in builds:
            found.append(f"image {image} of build {build}")
    found += [f"folder {path.name}" for path in (daemon.home / "tmp").iterdir()]
    found += [f"folder {path.name}" for path in (daemon.home / "apps").iterdir() if path.name not in apps]
    return found


def docker(*arguments: str) -> list[str]:
    """Rows of a listing of one home's things; the last argument is the home's id."""
    *command, home = arguments
    done = subprocess.run(
        ["docker", *command, "--filter", f"label=paasd.home={home}"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def inspect(thing: str, form: str) -> str:
    """Empty when it is gone meanwhile."""
    done = subprocess.run(["docker", "inspect", "--format", form, thing], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def wrong(shop: Shop) -> list[str]:
    """What the checker and SQLite say of it all."""
    daemon = shop.daemon
    assert isinstance(daemon, RecordedDaemon)
    page = shop.get()[1]
    end = End(
        releases=tuple(shop.call("GET", "/releases")[1]),
        config=shop.call("GET", "/config-vars")[1],
        maintenance=bool(shop.call("GET")[1]["maintenance"]),
        served=int(page["release"][1:]) if isinstance(page, Mapping) else None,
    )
    with closing(sqlite3.connect(daemon.home / "store.db")) as database:
        integrity = database.execute("PRAGMA integrity_check").fetchall()
    return [*check(daemon.history, {shop.name: end}), *(str(row) for row in integrity if row != ("ok",))]


class SlowRequest:
    """A request that the old dyno is still answering when it is to go: it gets its answer."""

    def __init__(self, shop: Shop) -> None:
        self._answers: list[Any] = []
        self._thread = threading.Thread(
            target=lambda: self._answers.append(shop.daemon.get(shop.name, "/slow?ms=6000"))
        )
        self._thread.start()

    def status(self) -> int:
        """What came, once it came."""
        self._thread.join(60)
        return int(self._answers[0][0])
