"""The lines a supervisor keeps."""

from pathlib import Path

import pytest

from paasd.adapters.process_journal import LINE_BYTES, LOG_BYTES, LOG_FILES, Journal
from paasd.adapters.process_logs import NAMES


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.chdir(tmp_path)
    return Journal()


def lines() -> list[tuple[int, bytes]]:
    found = [line for name in NAMES if Path(name).exists() for line in Path(name).read_bytes().splitlines()]
    return [(int(line.split(b" ", 1)[0]), line.split(b" ", 1)[1]) for line in found]


def test_lines_are_whole_and_their_times_grow(journal: Journal) -> None:
    """Bites: two lines of one microsecond with one time, of which `since` would lose the second."""
    for piece in (b"one\ntw", b"o\n", b"three"):
        journal.add(piece)
    assert [text for _, text in lines()] == [b"one", b"two"]
    journal.end()
    stamps = [at for at, _ in lines()]
    assert [text for _, text in lines()] == [b"one", b"two", b"three"]
    assert stamps == sorted(set(stamps))


def test_a_line_without_end_is_cut(journal: Journal) -> None:
    journal.add(b"x" * (LINE_BYTES + 10))
    assert [len(text) for _, text in lines()] == [LINE_BYTES]
    journal.end()
    assert [len(text) for _, text in lines()] == [LINE_BYTES, 10]


def test_full_files_are_turned_over_and_the_oldest_goes(journal: Journal) -> None:
    for number in range(40):
        journal.add(b"%d " % number + b"x" * (LOG_BYTES // 8) + b"\n")
    journal.end()
    kept = [int(text.split()[0]) for _, text in lines()]
    assert kept == list(range(kept[0], 40))
    assert 0 < kept[0] < 40 - 8 * (LOG_FILES - 1)
    assert not Path(f"log.{LOG_FILES}").exists()
