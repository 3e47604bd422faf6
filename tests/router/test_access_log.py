"""The access log's file and followers: rotated, and losing old lines rather than holding requests up."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from router.access_log import AccessLog
from router.metrics import Counted


async def test_the_file_is_rotated(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "log")
    for number in range(4):
        for _ in range(11):
            log.add(None, str(number) * 1_000_000)
        log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.1", "log.2"]  # noqa: ASYNC240
    assert "3333" in (tmp_path / "log.1").read_text()[:200] and "2222" in (tmp_path / "log.2").read_text()[:200]


async def test_a_full_disk_loses_lines_not_requests(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "absent" / "log")
    log.add("a", "line")
    log.close()


async def test_a_slow_follower_loses_the_oldest_and_is_told(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "log")
    for number in range(1200):
        log.add("a", str(number))
    batch = await anext(log.follow("2000"))
    lines = [msgspec.json.decode(line) for line in batch.splitlines()]
    assert lines[0] == {"dropped": 200}
    assert [lines[1]["line"], lines[-1]["line"]] == ["200", "1199"]
    log.close()


@dataclass
class Passed:
    """A request as the fast lane notes it."""

    ended: float
    started: float
    status: int = 204
    sent: int = 3
    app: str = "noted"

    def line(self) -> str:
        return f"ended={self.ended}"


async def test_what_is_noted_is_written_in_its_turn_at_its_time_and_counted(tmp_path: Path) -> None:
    """Bites: let `_settle` stamp lines with the time of the batch, or `flush` write before it settles."""
    counted = Counted()
    log = AccessLog(tmp_path / "log", lambda records, _: counted.count(records))
    now = asyncio.get_running_loop().time()
    for number in range(150):
        log.note(Passed(now - 150 + number, now - 151 + number))
        log.add("added", f"after={number}")
    first = await anext(log.follow("2000"))
    entries = [msgspec.json.decode(line) for line in first.splitlines()]
    assert [entry["line"] for entry in entries[1::2]] == [f"after={number}" for number in range(150)]
    noted = [entry["at"] for entry in entries[::2]]
    assert noted == sorted(noted) and noted[149] < entries[1]["at"]
    log.close()
    assert len((tmp_path / "log").read_text().splitlines()) == 300
    figures = counted.apps["noted"]
    assert (figures.statuses, figures.bytes, figures.seconds) == ({"2xx": 150}, 450, 150.0)
