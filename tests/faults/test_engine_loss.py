"""E01: dockerd killed, ended and started again, with and without live-restore: reads answer, writes are refused, and
30 s after its return everything runs that should, once. The engine is the test's own."""

import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import running_alone, wait_until
from tests.faults.own_engine import OwnEngine, needs_own_engine, own_engine

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300), needs_own_engine]

Record = Callable[[str, object], None]

DOWN_SECONDS = 5.0
BACK_SECONDS = 30.0
WORKER = f"{PROCFILE}worker: sleep 1000000\n"
READS = ("", "/releases", "/config-vars", "/formation", "/builds", "/releases/2", "/domains")


@pytest.fixture(params=["plain", "live-restore"], scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[OwnEngine]:
    with own_engine(*(["--live-restore"] if request.param == "live-restore" else [])) as engine:
        yield engine


@pytest.fixture(scope="module")
def shop(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two web dynos and a worker."""
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "docker": engine.settings}
    with running_alone(config) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("loss"), "loss")
        shop.deploy({"Procfile": WORKER})
        scaled = {"updates": [{"type": "web", "quantity": 2}, {"type": "worker", "quantity": 1}]}
        assert shop.call("PATCH", "/formation", scaled)[0] == 200
        yield shop


@pytest.mark.row("E01", "dockerd killed, and ended, and started again, with and without live-restore")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_e01_the_engine_goes_and_comes_back(
    shop: Shop, engine: OwnEngine, how: signal.Signals, record_property: Record
) -> None:
    """Bites: without `engine.dynos` in Dynos.scale, the quantity that was refused is kept."""
    wait_until(lambda: whole(shop, engine), BACK_SECONDS, "not whole before")
    process, releases, kept = shop.daemon.process, shop.call("GET", "/releases")[1], shop.containers()
    engine.end(how)
    ended = time.monotonic()
    wait_until(lambda: refuses(shop), DOWN_SECONDS, "writes are not refused with 503 and Retry-After")
    record_property("refused_s", round(time.monotonic() - ended, 2))
    for path in READS:
        assert shop.call("GET", path)[0] == 200, path
    assert {entry["quantity"] for entry in shop.call("GET", "/formation")[1]} == {1, 2}  # what was refused is not kept
    code, said = shop.push({"note.txt": str(ended)})
    assert code != 0 and "Docker does not answer" in said, said
    assert [entry["status"] for entry in shop.call("GET", "/releases")[1]].count("pending") == 0
    if how is signal.SIGKILL or "--live-restore" in engine.options:
        assert shop.get()[0] == 200  # its dynos run on
    wait_until(lambda: time.monotonic() - ended > 12, 20, "")  # so that more than one round found it away
    engine.start()
    back = time.monotonic()
    wait_until(lambda: whole(shop, engine), BACK_SECONDS, f"not whole again: {engine.docker('ps', '-a')}")
    record_property("whole_s", round(time.monotonic() - back, 2))
    if "--live-restore" in engine.options:
        assert shop.containers() == kept
    shop.deploy({"note.txt": f"{ended} again"})
    wait_until(lambda: whole(shop, engine), BACK_SECONDS, "not whole after a push")
    assert process is not None and process.poll() is None
    assert [entry for entry in shop.call("GET", "/releases")[1] if entry["version"] <= len(releases)]


def refuses(shop: Shop) -> bool:
    """A write that needs the engine gets 503, a sentence, and when to come again."""
    body = b'{"updates": [{"type": "web", "quantity": 3}]}'
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/vnd.heroku+json; version=3",
        "Authorization": f"Bearer {shop.daemon.token}",
    }
    url = f"{shop.daemon.url}/apps/{shop.name}/formation"
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PATCH"), timeout=30).close()
    except urllib.error.HTTPError as error:
        return error.code == 503 and int(error.headers["Retry-After"]) > 0
    return False


def whole(shop: Shop, engine: OwnEngine) -> bool:
    """Each dyno once, of the current release, none else, and it serves."""
    current = next(entry["version"] for entry in shop.call("GET", "/releases")[1] if entry["current"])
    form = '{{.Label "paasd.dyno"}} {{.Label "paasd.version"}} {{.State}}'
    found = sorted(engine.docker("ps", "-a", "--format", form).splitlines())
    wanted = [f"{name} {current} running" for name in ("web.1", "web.2", "worker.1")]
    return found == wanted and shop.get()[0] == 200
