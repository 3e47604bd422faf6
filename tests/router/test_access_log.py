"""The access log's file and followers: rotated, and losing old lines rather than holding requests up."""

from pathlib import Path

import msgspec

from router.access_log import AccessLog


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
