"""`make bench-swap`: deploys, rollbacks and config changes in a row under load. Not one request may fail."""

import argparse
import itertools
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.idle import memory
from bench.load import Aim, Report, Sample, under_load
from bench.page import ms, quantile, table, title, verdict
from bench.scene import APP, Scene, scene

QUIET_SECONDS = 2.0  # of load before the first and after the last change
SHOWN = 20  # failures printed with their log lines


class Change(StrEnum):
    """What is done to the app."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    CONFIG = "config change"


@dataclass(frozen=True)
class Done:
    """One change: from its request until it was acknowledged promoted, times as time.monotonic()."""

    change: Change
    version: int
    began: float
    acknowledged: float


def plan(count: int, seed: int) -> list[Change]:
    """As many of each as can be, in an order that the seed decides."""
    changes = list(itertools.islice(itertools.cycle(Change), count))
    random.Random(seed).shuffle(changes)
    return changes


def carry_out(stage: Scene, change: Change, number: int, chance: random.Random, before: Sequence[int]) -> Done:
    """One change, until the API (or the push) says that it is served."""
    if change is Change.DEPLOY:
        stage.commit_a_change()
        began = time.monotonic()
        acknowledged = began + stage.push()
        return Done(change, stage.newest(), began, acknowledged)
    began = time.monotonic()
    if change is Change.ROLLBACK:
        version = int(stage.api("POST", f"/apps/{APP}/releases", {"release": str(chance.choice(before))})["version"])
    else:
        stage.api("PATCH", f"/apps/{APP}/config-vars", {"GREETING": f"hello {number}"})
        version = stage.newest()
    return Done(change, version, began, stage.promoted(version))


def stale(report: Report, done: Sequence[Done]) -> list[Sample]:
    """Requests sent after a release was acknowledged and answered by an older one."""
    found = []
    for sample in report.samples:
        served = max((one.version for one in done if one.acknowledged <= sample.sent), default=0)
        if sample.version and sample.version < served:
            found.append(sample)
    return found


def backward(report: Report) -> int:
    """Requests sent after another had been answered by a newer release than theirs."""
    answers = sorted((sample.done, sample.version) for sample in report.samples if sample.version)
    count, newest, seen = 0, 0, 0
    for sample in sorted(report.samples, key=lambda sample: sample.sent):
        while seen < len(answers) and answers[seen][0] <= sample.sent:
            newest = max(newest, answers[seen][1])
            seen += 1
        count += bool(sample.version) and sample.version < newest
    return count


def seen_in_order(report: Report) -> list[int]:
    """The releases that answered, by their first answer."""
    answered = sorted((sample for sample in report.samples if sample.version), key=lambda sample: sample.done)
    return list(dict.fromkeys(sample.version for sample in answered))


def show(report: Report, done: Sequence[Done]) -> None:
    """The table: changes, then requests."""
    rows = []
    for change in Change:
        times = sorted(one.acknowledged - one.began for one in done if one.change is change)
        if times:
            rows.append([f"{change}s", str(len(times)), ms(statistics.median(times)), ms(times[0]), ms(times[-1])])
    table(["until served, ms", "count", "median", "min", "max"], rows)
    rows = []
    for kind in [*sorted({sample.kind for sample in report.samples}), None]:
        mine = [sample for sample in report.samples if kind in (None, sample.kind)]
        rising = sorted(sample.latency for sample in mine)
        figures = [ms(quantile(rising, share)) for share in (0.5, 0.99, 1.0)]
        rows.append([kind or "all", str(len(mine)), str(sum(bool(sample.failure) for sample in mine)), *figures])
    table(["requests, ms", "sent", "failed", "p50", "p99", "max"], rows)
    print(
        f"  {report.rate:g} requests/s for {report.ended - report.began:.0f} s; the generator was {ms(report.late)} ms"
    )
    print("  late at most, and a latency counts from when a request was due.")
    print(f"  Releases seen: {ranges(seen_in_order(report))}\n", flush=True)


def ranges(versions: Sequence[int]) -> str:
    """v2-v9, v11: runs that rise by one are drawn together."""
    runs: list[list[int]] = []
    for version in versions:
        if runs and version == runs[-1][-1] + 1:
            runs[-1].append(version)
        else:
            runs.append([version])
    return ", ".join(f"v{run[0]}" if len(run) == 1 else f"v{run[0]}-v{run[-1]}" for run in runs)


def show_failures(stage: Scene, report: Report, bad: Sequence[Sample], done: Sequence[Done]) -> None:
    """Each failed request: when, what happened around it, and what the router logged of it."""
    logs = sorted((stage.daemon.home.parent / f"{stage.daemon.home.name}-router").glob("router.log*"))
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    for sample in bad[:SHOWN]:
        last = max((one for one in done if one.acknowledged <= sample.sent), key=lambda one: one.version, default=None)
        served = f"v{last.version} acknowledged {ms(sample.sent - last.acknowledged)} ms before" if last else "v2 live"
        what = sample.failure or f"answered by v{sample.version}"
        print(f"  {sample.sent - report.began:8.3f} s  {sample.kind}  {what}  ({served})")
        found = [line for line in lines if sample.request_id in line]
        print("\n".join(f"             {line}" for line in found or ["the router logged nothing of it"]))
    if len(bad) > SHOWN:
        print(f"  … and {len(bad) - SHOWN} more")


def daemon_memory(stage: Scene) -> float:
    """MiB resident."""
    assert stage.daemon.process is not None
    return memory([stage.daemon.process.pid]).rss


def main() -> int:
    """0 when no request failed and none was answered by the past."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=50, help="changes in a row")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    title(f"{given.ops} deploys, rollbacks and config changes in a row under {given.rate:g} requests/s")
    chance, done, versions = random.Random(given.seed), [], [2]
    with scene() as stage:
        with under_load(Aim(stage.daemon.router_port, APP, given.rate, seed=given.seed), stage.root) as load:
            time.sleep(QUIET_SECONDS)
            resident = [daemon_memory(stage)]
            for number, change in enumerate(plan(given.ops, given.seed)):
                done.append(carry_out(stage, change, number, chance, versions))
                versions.append(done[-1].version)
            time.sleep(QUIET_SECONDS)
            resident.append(daemon_memory(stage))
            report = load.stop()
        show(report, done)
        print(f"  The daemon had {resident[0]:.1f} MiB resident before the changes and {resident[1]:.1f} after them.\n")
        old = stale(report, done)
        sent = len(report.samples)
        right = verdict(not report.failed, f"{len(report.failed)} of {sent} requests failed (0 allowed)")
        right &= verdict(not old, f"{len(old)} answered by an older release than was acknowledged (0 allowed)")
        right &= verdict(versions == list(range(2, given.ops + 3)), f"{len(done)} releases, numbered without a gap")
        print(f"          {backward(report)} answered by an older release than another request had seen before")
        show_failures(stage, report, [*report.failed, *old], done)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
