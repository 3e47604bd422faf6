"""The table of docs/reliability.md: rows are put in by id, the others stay; figures add up, or show their longest."""

from tests.faults.table import DOCUMENT, HEAD, TABLE, line, merged

BEFORE = f"# Reliability\n\n{HEAD}| K01 | a | 1 of 1 | | d | c |\n| K03 | b | 1 of 1 | | d | c |\n\nAnd so on.\n"


def record(turn: int, outcome: str = "passed", commit: str = "new", **measured: object) -> dict[str, object]:
    return {
        "row": "K02", "title": "killed", "test": f"test[turn {turn}]", "outcome": outcome, "at": "2026-11-26",
        "commit": commit, "measured": measured,
    }  # fmt: skip


def test_a_row_is_put_in_by_its_id() -> None:
    after = merged(BEFORE, {"K02": "| K02 | new |\n", "K03": "| K03 | newer |\n"})
    assert after == BEFORE.replace("| K03 | b | 1 of 1 | | d | c |\n", "| K02 | new |\n| K03 | newer |\n")


def test_a_line_tells_of_the_newest_commit_only() -> None:
    """Bites: with `kept` in the place of `newest` the old commit's failure counts too."""
    kept = [
        record(1, "failed", "old"),
        record(1, requests=10, recovered_s=1.0),
        record(2, "failed"),
        record(2, requests=5, recovered_s=3.0),
        record(3, "failed"),
    ]
    assert line("K02", kept) == (
        "| K02 | killed | 2 of 3 | requests 15, recovered 2.0 s (longest 3.0) | 2026-11-26 | "
        "`make faults ROW=K02 REPEAT=3` |\n"
    )


def test_the_document_has_the_table() -> None:
    found = TABLE.search(DOCUMENT.read_text())
    assert found is not None
    rows = [entry.split("|")[1].strip() for entry in found[1].splitlines()]
    assert rows == sorted(set(rows))
