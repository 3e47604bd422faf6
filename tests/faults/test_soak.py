"""What a soak judges by: which failures are excused, and which break a promise. And a short soak of two apps."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.load import Kind, Sample
from tests.daemon import Shell
from tests.faults.history import RecordedDaemon
from tests.faults.soak.judge import Judged, Kill, Life, Victim, broken, judge_app, leaks
from tests.faults.soak.killer import Killer
from tests.faults.soak.load import ROOT, Load
from tests.faults.soak.stage import Stage


def sample(sent: float, done: float, failure: str = "", kind: Kind = Kind.GET_NEW) -> Sample:
    return Sample(1, kind, sent, sent, done, 0 if failure else 2, "", failure)


WELL = sample(0.0, 0.1)
LOST = "IncompleteReadError"


def test_only_what_was_on_the_killed_worker_is_set_aside() -> None:
    life, kills = (
        Life("shop", 2, 0.0),
        [Kill(Victim.WORKER, 10.0), Kill(Victim.PARENT, 20.0), Kill(Victim.DAEMON, 30.0)],
    )
    seen = [WELL, sample(9.9, 10.1, LOST), sample(10.1, 10.2, LOST, Kind.GET_KEPT)]
    lost = [sample(10.1, 10.2, LOST), sample(10.9, 11.0, LOST, Kind.GET_KEPT)]
    lost += [sample(19.9, 20.1, LOST), sample(29.9, 30.1, LOST)]
    judged = judge_app(life, [*seen, *lost], kills)
    assert (judged.well, judged.aside, judged.failed) == (1, 2, lost)


def test_one_dyno_is_excused_until_it_answers_again_and_two_are_not() -> None:
    kills = [Kill(Victim.DYNO, 10.0, "shop"), Kill(Victim.DYNO, 50.0, "other")]
    seen = [WELL, sample(10.5, 10.6, "status 503: x"), sample(10.4, 12.0), sample(12.1, 12.2, "status 503: x")]
    seen.append(sample(50.1, 50.2, "status 503: x"))
    one = judge_app(Life("shop", 1, 0.0), seen, kills)
    assert (one.well, one.outage, one.failed) == (2, 1, seen[3:])
    two = judge_app(Life("shop", 2, 0.0), seen, kills)
    assert (two.outage, two.failed) == (0, [seen[1], *seen[3:]])


def test_the_last_answer_of_a_killed_dyno_is_not_the_next_ones_first() -> None:
    """A signal takes its time: what is sent meanwhile may still be answered by the dyno that dies of it. Bites: with
    `kill.at` in the place of `kill.dead` in `recovered` the outage ends before it has begun."""
    kills = [Kill(Victim.DYNO, 10.0, "shop", took=0.08)]
    last, refused, first = sample(10.03, 10.05), sample(12.4, 12.5, "status 503: x"), sample(12.6, 12.7)
    late = sample(12.8, 12.9, "status 503: x")
    judged = judge_app(Life("shop", 1, 0.0), [last, refused, first, late], kills)
    assert (judged.well, judged.outage, judged.failed) == (2, 1, [late])


def test_what_dies_of_a_signal_has_requests_in_flight_until_it_is_dead() -> None:
    """Bites: with `kill.at` in the place of `kill.dead` in `in_flight` the first of these is held against it."""
    life = Life("shop", 2, 0.0)
    for kill in (Kill(Victim.DYNO, 10.0, "shop", took=0.08), Kill(Victim.WORKER, 10.0, took=0.08)):
        cut, late = sample(10.05, 10.1, LOST), sample(10.09, 10.1, LOST)
        judged = judge_app(life, [cut, late], [kill])
        assert (judged.aside, judged.failed) == (1, [late])


def test_a_kill_lasts_until_the_process_is_dead(tmp_path: Path) -> None:
    """What had ended before excuses nothing. Bites: with the poll of `Killer.strike` left out it is not dead yet; with
    the kill noted before `pidfd_open` there are two."""
    load = Load(1, 1.0, 1, tmp_path / "load.json")
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        stage = Stage(RecordedDaemon(tmp_path), load, Shell(tmp_path, tmp_path, {}), tmp_path)
        began, killer = time.monotonic(), Killer(stage, 1)
        assert killer.strike(Victim.DYNO, sleeper.pid, "shop")
        assert "State:\tZ" in Path(f"/proc/{sleeper.pid}/status").read_text()
        [kill] = stage.kills
        assert (kill.victim, kill.app) == (Victim.DYNO, "shop")
        assert began < kill.at < kill.dead < time.monotonic()
        sleeper.wait()
        assert not killer.strike(Victim.DYNO, sleeper.pid, "shop")
        assert stage.kills == [kill]
    finally:
        sleeper.kill()
        load.abandon()


def test_a_dyno_that_never_comes_back_is_not_excused_for_ever() -> None:
    late = sample(75.0, 75.1, "status 503: x")
    assert judge_app(Life("shop", 1, 0.0), [late], [Kill(Victim.DYNO, 10.0, "shop")]).failed == [late]


def test_a_page_of_maintenance_is_right_while_it_is_on() -> None:
    """Bites: with any 503 in the place of `is_page` a dyno that nobody killed may be away meanwhile."""
    life, page = Life("shop", 1, 0.0, pages=[(5.0, 6.0)]), "status 503 H80: <!doctype html>"
    wrong = [sample(5.2, 5.3, LOST), sample(5.5, 5.6, "status 503 H10: <!doctype html>"), sample(7.0, 7.1, page)]
    judged = judge_app(life, [sample(5.5, 5.6, page), *wrong], [])
    assert (judged.well, judged.failed) == (1, wrong)


def test_what_is_destroyed_owes_nothing() -> None:
    judged = judge_app(Life("shop", 1, 0.0, gone=8.0), [sample(7.9, 8.1, LOST), sample(9.0, 9.1, LOST)], [])
    assert (judged.counted, judged.aside) == (0, 0)


def test_what_breaks_the_promises() -> None:
    bad = [sample(1.0, 2.0, LOST)]
    assert broken([Judged("a", 2, well=20_000, failed=bad), Judged("b", 1, well=10)]) == []
    assert "two dynos" in broken([Judged("a", 2, well=5_000, failed=bad)])[0]
    assert "b failed outside" in broken([Judged("b", 1, well=100_000, failed=bad)])[0]
    slack = {"MiB": 10.0, "tasks": 2.0}
    assert leaks({"daemon MiB": 90, "daemon tasks": 9}, {"daemon MiB": 99, "daemon tasks": 11}, slack) == []
    assert "tasks grew from 9 to 12" in leaks({"daemon tasks": 9}, {"daemon tasks": 12}, slack)[0]


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(400)
@pytest.mark.row("SOAK", "a minute of seeded operations and kills on six apps")
def test_a_short_soak() -> None:
    """Bites: with `restore()` left out of a router worker's start the first kill of one loses requests; with
    `recovery.boot` not spawned, killed dynos stay missing."""
    command = [
        sys.executable,
        "-m",
        "tests.faults.soak",
        "--minutes",
        "1",
        "--apps",
        "6",
        "--rate",
        "60",
        "--seed",
        "4",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
