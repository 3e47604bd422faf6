"""Reading a dyno's lines while they are written and turned over."""

from pathlib import Path

import pytest

from paasd.adapters.process_journal import LOG_BYTES, Journal
from paasd.adapters.process_logs import LogReader, read_log


def test_a_reader_goes_on_from_file_to_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: a reader that goes to the newest file at once, and misses the rest of the one before."""
    monkeypatch.chdir(tmp_path)
    journal, reader = Journal(), LogReader(tmp_path)
    seen: list[int] = []
    for number in range(60):
        journal.add(b"%d " % number + b"x" * (LOG_BYTES // 8) + b"\n")
        if number % 7 == 0:
            seen += [int(text.split()[0]) for _, text in reader.lines()]
    journal.end()
    seen += [int(text.split()[0]) for _, text in reader.lines()]
    reader.close()
    reader.close()
    assert seen == list(range(60))


async def test_the_log_of_what_never_ran_is_empty(tmp_path: Path) -> None:
    assert [line async for line in read_log(tmp_path, None)] == []
