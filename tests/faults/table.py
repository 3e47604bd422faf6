"""`make faults-table`: what `make faults` has recorded, into the table of docs/reliability.md. Other rows stay."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.faults.plugin import RECORDS, ROOT, records

DOCUMENT = ROOT / "docs" / "reliability.md"
HEAD = "| Row | Fault | Passed | Measured | On | Command |\n|---|---|---|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"((?:\|.*\|\n)*)")

TURN = re.compile(r"\bturn (\d+)\b")


def line(row: str, kept: Sequence[Mapping[str, Any]]) -> str:
    """A row of the table: the newest commit's runs. Figures named …_s are the median and the longest, others add up."""
    newest = [record for record in kept if record["commit"] == kept[-1]["commit"] and record["outcome"] != "skipped"]
    last = {record["test"]: record for record in newest}  # a turn that failed and was run again counts once
    passed = [record for record in last.values() if record["outcome"] == "passed"]
    measured = ", ".join(figures([record["measured"] for record in passed]))
    turns = max((int(found[1]) for test in last if (found := TURN.search(test))), default=1)
    command = f"`make faults ROW={row} REPEAT={turns}`"
    return (
        f"| {row} | {kept[-1]['title']} | {len(passed)} of {len(last)} | {measured} | {kept[-1]['at']} | {command} |\n"
    )


def figures(measured: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """ "requests 4021", "recovered 0.9 s (longest 1.2)", …"""
    for name in dict.fromkeys(name for one in measured for name in one):
        values = [one[name] for one in measured if name in one]
        label = name.removesuffix("_s").replace("_", " ")
        if name.endswith("_s"):
            yield f"{label} {seconds(statistics.median(values))} s (longest {seconds(max(values))})"
        elif all(isinstance(value, int) for value in values):
            yield f"{label} {sum(values)}"
        else:
            yield f"{label} {values[-1]}"


def seconds(value: float) -> str:
    """To a tenth; to a millisecond where a tenth would say nothing."""
    return f"{value:.1f}" if value >= 0.1 or not value else f"{value:.3f}"


def merged(text: str, fresh: Mapping[str, str]) -> str:
    """The document with these rows put in or replaced, all in order of their ids."""
    found = TABLE.search(text)
    assert found is not None, f"{DOCUMENT} has no table that begins with {HEAD}"
    rows = {entry.split("|")[1].strip(): f"{entry}\n" for entry in found[1].splitlines()}
    rows.update(fresh)
    return text[: found.start(1)] + "".join(rows[row] for row in sorted(rows)) + text[found.end(1) :]


def main() -> None:
    """Read .faults, rewrite the document."""
    fresh = {file.stem: line(file.stem, kept) for file in RECORDS.glob("*.jsonl") if (kept := records(file.stem))}
    DOCUMENT.write_text(merged(DOCUMENT.read_text(), fresh))
    print("".join(fresh[row] for row in sorted(fresh)), end="")  # noqa: T201


if __name__ == "__main__":
    main()
