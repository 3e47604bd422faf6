"""A08: an app that prints as fast as it can. Another app's tail goes on, the app is not held up, its log stays small,
and what is not kept is counted, to the line: also what Docker rotates away before anybody has read it.

Bites: without `self.dropped += 1` in `Allowance.admits` the burst's sum is short by all that was dropped; without
`_settle`, the flood's by what was rotated away.
"""

from collections.abc import Callable, Iterator

import pytest

from bench.logs import HELD_SECONDS, KEPT, LINE, Seen, flooded, open_apps, p99
from tests.acceptance.shop import Shop
from tests.daemon import Daemon, running_alone

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

Record = Callable[[str, object], None]
TITLE = "an app that prints 100 MB/s, and one that prints 50,000 lines at once, beside another's tail"
BURST_LINES = 50_000
RATES = {"logs": {"lines_per_second": 1000}}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_alone(RATES) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shops(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Shop]:
    return open_apps(daemon, tmp_path_factory.mktemp("flood"))


@pytest.mark.row("A08", TITLE)
def test_each_line_of_a_burst_is_kept_or_counted(
    daemon: Daemon, shops: tuple[Shop, Shop], record_property: Record
) -> None:
    seen = flooded(daemon, *shops, seconds=1e9, lines=BURST_LINES)
    assert seen.printed == BURST_LINES
    assert seen.uncounted == 0, seen
    assert seen.dropped > 0
    _tell(seen, record_property)


@pytest.mark.row("A08", TITLE)
def test_a_flood_takes_no_more_than_its_share(
    daemon: Daemon, shops: tuple[Shop, Shop], record_property: Record
) -> None:
    before = flooded(daemon, *shops, seconds=0.1, rate=LINE * 10.0)
    seen = flooded(daemon, *shops, seconds=20, before=before.kept + before.dropped)
    assert seen.delays, "nothing of the other app's log came"
    assert seen.kept > before.kept and seen.dropped > before.dropped
    assert seen.uncounted == 0, seen
    assert seen.disk <= KEPT
    assert seen.grown_mib < 64
    _tell(seen, record_property)


def _tell(seen: Seen, record_property: Record) -> None:
    assert seen.held < HELD_SECONDS
    record_property("lines", seen.printed)
    record_property("tail_p99_s", p99(seen.delays))
    record_property("held_s", seen.held)
    record_property("api_p99_s", p99(seen.answers))
