"""E02: an engine that refuses, hangs, loses answers, breaks off, talks nonsense: no wait without end, nothing left.

A proxy stands before an engine of the test's own; what it spoils are the calls of a deploy.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import running_alone, wait_until
from tests.faults.docker_proxy import Fault, Proxy, proxy
from tests.faults.own_engine import OwnEngine, needs_own_engine, own_engine
from tests.faults.test_crash import current, orphans

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300), needs_own_engine]

Record = Callable[[str, object], None]

BOUND_SECONDS = 100.0  # a call has 30 s, and what a failed deploy undoes may meet the fault once more
WHOLE_SECONDS = 40.0
CREATE, START = r"POST .*/containers/create", r"POST .*/containers/[^/]+/start"
FAULTS = {
    "create is refused": Fault("status", CREATE, 500),
    "create conflicts": Fault("status", CREATE, 409),
    "create hangs": Fault("hang", CREATE),
    "create's answer is lost": Fault("lose", CREATE),
    "start is refused": Fault("status", START, 500),
    "start finds nothing": Fault("status", START, 404),
    "start's answer is lost": Fault("lose", START),
    "lists are half": Fault("nonsense", r"GET .*/containers/json"),
    "answers break off": Fault("cut", r"GET .*/containers/", 200),
    "answers come slowly": Fault("drip", r"(GET|POST) .*/(containers|images|networks)", 40),
    "the build breaks off": Fault("cut", r"POST .*/(build|session)", 400),
    "all hangs": Fault("hang", r"."),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def between(engine: OwnEngine) -> Iterator[Proxy]:
    with proxy(engine.root / "proxy.sock", engine.socket) as between:
        yield between


@pytest.fixture(scope="module")
def shop(engine: OwnEngine, between: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One web dyno, of an engine behind the proxy."""
    settings = {**engine.settings, "host": f"unix://{engine.root}/proxy.sock"}
    with running_alone({"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "docker": settings}) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("nonsense"), "nonsense")
        shop.deploy()
        yield shop
        between.fault = None


@pytest.mark.row("E02", "an engine behind a proxy that refuses, hangs, loses answers, breaks off, talks nonsense")
@pytest.mark.parametrize("what", FAULTS)
def test_e02_a_push_that_meets_it_ends_and_leaves_nothing(
    shop: Shop, between: Proxy, what: str, record_property: Record
) -> None:
    """Bites: call_timeout of docker_api.py at 300 s: a push whose create hangs comes to no end."""
    process, page = shop.daemon.process, shop.served()
    between.hits, between.fault = 0, FAULTS[what]
    began = time.monotonic()
    try:
        code, said = shop.push({"note.txt": what})
        took = time.monotonic() - began
        for path in ("", "/releases", "/config-vars", "/formation", "/builds"):
            assert shop.call("GET", path)[0] == 200, path
    finally:
        between.fault = None
    assert between.hits > 0, "no call met it"
    assert took < BOUND_SECONDS, f"the push took {took:.0f} s"
    if code:
        assert " !  " in said and "Something broke" not in said and "Traceback" not in said, said
        assert shop.get()[0] == 200  # by what served before
    record_property("ended_s", round(took, 1))
    lifted = time.monotonic()
    wait_until(lambda: whole(shop), WHOLE_SECONDS, f"left over: {what}")
    record_property("whole_s", round(time.monotonic() - lifted, 1))
    if code:
        assert shop.served() == page
    assert process is not None and process.poll() is None
    shop.deploy({"note.txt": f"{what}, again"})
    wait_until(lambda: whole(shop), WHOLE_SECONDS, f"left over after the next push: {orphans(shop.daemon)}")


def whole(shop: Shop) -> bool:
    """Nothing is pending, nothing left over, and what is current serves."""
    pending = [entry for entry in shop.call("GET", "/releases")[1] if entry["status"] == "pending"]
    if pending or shop.get()[0] != 200:
        return False
    return shop.served() == current(shop) and orphans(shop.daemon) == []
