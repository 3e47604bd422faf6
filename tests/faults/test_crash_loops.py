"""A01: dynos that exit at once, after five seconds, and after eleven minutes: restarted, ever later, and forgiven.

Twelve minutes by the real clock, at the figures that are shipped.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.acceptance.shop import HELLO, PROCFILE, Shop, open_shop
from tests.daemon import running_alone, wait_until
from tests.faults.engine_events import Event, Recorder, gaps, recorded

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

Record = Callable[[str, object], None]
BACKOFF = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300)
START_SECONDS = 6.0  # that the engine may need to remove a container and start another, on a busy machine
TEN_MINUTES = 600.0
ELEVEN_MINUTES = 660.0
RESTARTS = 10
DIES = "import os, sys, time\nif time.time() > float(os.environ.get('DIES_AT', 'inf')):\n    sys.exit(1)\n"
SHORT = "import sys, time\ntime.sleep(5)\nsys.exit(1)\n"
LONG = """
import os, sys, time
time.sleep(3 if time.time() < float(os.environ.get("DIES_AT", "inf")) + 8 else 660)
sys.exit(1)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Its web dyno is good until DIES_AT, and exits at once from then on."""
    with running_alone({"deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("loops"), "loops")
        shop.deploy(
            {
                "Procfile": PROCFILE + "short: python3 short.py\nlong: python3 long.py\n",
                "Dockerfile": (HELLO / "Dockerfile").read_text().replace("COPY server.py", "COPY *.py"),
                "server.py": dying((HELLO / "server.py").read_text()),
                "short.py": SHORT,
                "long.py": LONG,
            }
        )
        yield shop


def dying(server: str) -> str:
    """That looks at the time once a second too, for it is up when it comes."""
    watch = "Thread(target=watch, daemon=True).start()\n    server = Server("
    look = "def watch():\n    while time.time() < float(os.environ.get('DIES_AT', 'inf')):\n        time.sleep(0.2)\n"
    return (
        (DIES + server)
        .replace("server = Server(", watch)
        .replace("def main():", f"{look}    os._exit(1)\n\n\ndef main():")
    )


@pytest.mark.row("A01", "dynos that exit at once, after 5 s, and after 11 min")
def test_dynos_that_end_again_and_again(shop: Shop, tmp_path: Path, record_property: Record) -> None:
    """Bites: seen with fifteen restarts of web.1, when a failed restart was counted only after its container
    had been removed."""
    code, said = shop.push({"server.py": "import sys\nsys.exit(1)\n"})
    assert code != 0 and "web.1 exited with status 1 before it was up" in said
    assert shop.served() == "v2"
    shop.deploy({"server.py": dying((HELLO / "server.py").read_text())})

    with recorded(tmp_path, shop.call("GET")[1]["id"]) as recorder:
        loops(shop, recorder, record_property)
    assert shop.call("PATCH", "/config-vars", {"DIES_AT": str(time.time() + 3600)})[0] == 200
    wait_until(lambda: shop.get()[0] == 200, 10, "a new release waits for the old one's back-off")


def loops(shop: Shop, recorder: Recorder, record_property: Record) -> None:
    """Twelve minutes of it."""
    since, used = time.time(), processor_seconds(shop)
    assert shop.call("PATCH", "/config-vars", {"DIES_AT": str(since + 15)})[0] == 200
    updates = [{"type": name, "quantity": 1} for name in ("short", "long")]
    wait_until(lambda: shop.call("PATCH", "/formation", {"updates": updates})[0] == 200, 30, "it could not be scaled")
    wait_until(lambda: shop.get()[0] == 503, 60, "it did not die")
    wait_until(lambda: shop.get()[0] == 503 and "code=H10" in shop.log("--dyno", "router"), 60, "nobody says H10")
    wait_until(lambda: state(shop, "web.1") == "crashed", 30, "it is not seen as crashed")
    first = {name: of(recorder, name)[0].at for name in ("web.1", "short.1")}
    while time.time() < max(first.values()) + TEN_MINUTES:
        time.sleep(1)  # nothing is to be waited for: the time itself is
        assert shop.daemon.get(shop.name)[0] == 503
    idle = processor_seconds(shop) - used
    assert idle < 0.05 * (time.time() - since)
    record_property("processor_share_percent", round(100 * idle / (time.time() - since), 2))
    for name in first:
        own = of(recorder, name)
        restarts = [event for event in own if event.action == "start" and 0 < event.at - first[name] <= TEN_MINUTES]
        assert len(restarts) <= RESTARTS
        backed_off(gaps(own))
        record_property(f"{name.partition('.')[0]}_restarts", len(restarts))
        record_property(f"{name.partition('.')[0]}_gaps", " ".join(f"{gap:.1f}" for gap in gaps(own)))

    ran_long = long_run(recorder)
    wait_until(lambda: ran_long() is not None, 180, "it did not run for eleven minutes and come back")
    back = ran_long()
    assert back is not None and back <= START_SECONDS, back
    record_property("restarted_after_11_min_s", round(back, 2))


def of(recorder: Recorder, name: str) -> Sequence[Event]:
    """The ends of a dyno, and the starts in its place, from its first end in the newest release on."""
    own = recorder.of("start", "die", dyno=name)
    newest = version(own[-1])
    own = [event for event in own if version(event) == newest]
    ended = next((at for at, event in enumerate(own) if event.action == "die"), len(own))
    return own[ended:]


def version(event: Event) -> str:
    """ "4" of shop.web.1.v4-3fa9c1."""
    return event.container.rpartition(".v")[2].partition("-")[0]


def backed_off(found: Sequence[float]) -> None:
    """1, 2, 4 … 300 s, each give or take a fifth."""
    assert len(found) >= 8, found
    for wanted, gap in zip(BACKOFF, found, strict=False):
        assert 0.8 * wanted <= gap <= 1.2 * wanted + START_SECONDS, found


def long_run(recorder: Recorder) -> Callable[[], float | None]:
    """The seconds that the dyno of eleven minutes, which had crashed in a row before, took to be started again."""

    def found() -> float | None:
        own = of(recorder, "long.1")
        for at, event in enumerate(own[:-2]):
            later, again = own[at + 1], own[at + 2]
            if event.action == "start" and later.at - event.at >= TEN_MINUTES and again.action == "start":
                assert [each.action for each in own[:at]].count("die") >= 3, own
                return again.at - later.at
        return None

    return found


def state(shop: Shop, name: str) -> str:
    return next((str(dyno["state"]) for dyno in shop.call("GET", "/dynos")[1] if dyno["name"] == name), "")


def processor_seconds(shop: Shop) -> float:
    """Of the daemon, since it began."""
    assert shop.daemon.process is not None
    fields = Path(f"/proc/{shop.daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
