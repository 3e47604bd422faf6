"""`make faults ROW=K04 REPEAT=20`: runs the tests marked with a row, so often, and goes on where it stopped.

Each test leaves a line in .faults/<row>.jsonl; one that passed at this commit is not run again. A failure ends the run.
"""

import json
import os
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
RECORDS = ROOT / ".faults"


def row_of(item: pytest.Item) -> tuple[str, str] | None:
    """(id, title) of the row a test is marked with."""
    mark = item.get_closest_marker("row")
    return None if mark is None else (str(mark.args[0]), str(mark.args[1]))


def commit() -> str:
    """What is checked out; a record counts for that only."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def records(row: str) -> list[dict[str, Any]]:
    """What is kept of a row, oldest first."""
    file = RECORDS / f"{row}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def repeats() -> int:
    return int(os.environ.get("REPEAT") or "1")


@pytest.fixture
def turn(request: pytest.FixtureRequest) -> int:
    """Which repetition this is, from 1."""
    return int(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every marked test as often as was asked for."""
    given = [param for mark in metafunc.definition.iter_markers("parametrize") for param in mark.args[1]]
    marks = [*metafunc.definition.iter_markers(), *(mark for param in given for mark in getattr(param, "marks", ()))]
    if any(mark.name == "row" for mark in marks):
        metafunc.fixturenames.append("turn")
        metafunc.parametrize("turn", range(1, repeats() + 1), indirect=True, ids=lambda number: f"turn {number}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those of the wanted row that were not passed at this commit before; the turns one after the other."""
    wanted, left, at = os.environ.get("ROW", ""), [], commit()
    passed = {record["test"] for record in records(wanted) if record["commit"] == at and record["outcome"] == "passed"}
    for item in items:
        row = row_of(item)
        if row is not None and row[0] == wanted and item.nodeid not in passed:
            left.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = left
    if not left:
        config.stash[NOTHING] = f"{wanted}: {len(passed)} turns passed at {at} before; nothing is left to run."


NOTHING = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say when there was nothing to do."""
    if said := config.stash.get(NOTHING, ""):
        terminalreporter.write_line(said)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A row whose every turn has passed before is no failure."""
    if session.config.stash.get(NOTHING, "") and records(os.environ.get("ROW", "")):
        session.exitstatus = 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the outcome, and what the test measured (record_property)."""
    report = yield
    row = row_of(item)
    if row is not None and (report.when == "call" or (report.when == "setup" and report.outcome == "failed")):
        RECORDS.mkdir(exist_ok=True)
        record = {
            "row": row[0],
            "title": row[1],
            "test": item.nodeid,
            "outcome": report.outcome,
            "seconds": round(report.duration, 2),
            "at": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": commit(),
            "measured": dict(report.user_properties),
        }
        with (RECORDS / f"{row[0]}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
    return report
