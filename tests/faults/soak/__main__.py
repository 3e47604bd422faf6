"""`make soak MINUTES=10 SEED=7`: the run, its progress, its table. Ends with 1 when a promise was broken."""

import argparse
import concurrent.futures
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.page import table, title, verdict
from tests.daemon import wait_until
from tests.faults.checker import End, check
from tests.faults.history import RecordedDaemon
from tests.faults.soak.judge import NEVER, Judged, Life, broken, judge_app, leaks
from tests.faults.soak.killer import Killer, router_processes
from tests.faults.soak.load import Load, Traffic
from tests.faults.soak.owner import Owner
from tests.faults.soak.stage import Stage, first_shell
from tests.faults.test_crash import orphans

APPS, OWNERS, RATE = 20, 3, 100.0
CONFIG = {"deploy": {"wait": 50.0, "grace": 5.0, "drain": 5.0}, "build": {"parallel": 1}}
WARM_SECONDS = 20.0
CLEAN_SECONDS = 60.0
PROGRESS_SECONDS = 15.0
FIRST_PART = 0.6  # of the time everything is killed; then the same daemon and router have to stay flat
SLACK = {"MiB": 12.0, "descriptors": 40.0, "threads": 4.0, "tasks": 10.0}
QUIET_SECONDS = 8.0
SHOWN = 12


def main() -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--apps", type=int, default=APPS)
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second, over all apps")
    parser.add_argument("--keep", action="store_true", help="do not remove the logs of the run")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    title(f"A soak of {given.minutes:g} minutes: {given.apps} apps, {given.rate:g} requests/s, SEED={given.seed}")
    root = Path(tempfile.mkdtemp(prefix="paasd-soak-"))
    daemon = RecordedDaemon(root, config=CONFIG)
    load: Load | None = None
    stage: Stage | None = None
    try:
        daemon.start()
        load = Load(daemon.router_port, given.rate, given.seed, root / "load.json")
        stage = Stage(daemon, load, first_shell(daemon, root), root)
        figures = soak(stage, given.apps, given.minutes * 60, given.seed)
        return 0 if show(stage, load.stop(), figures) else 1
    finally:
        if load is not None:
            load.abandon()
        daemon.clear_away()
        if given.keep:
            print(f"  Kept in {root}: the daemon's log, the router's, every call (history.jsonl), request and kill.")
            daemon.history.save(root / "history.jsonl")
            if stage is not None:
                (root / "kills.json").write_bytes(msgspec.json.encode(stage.kills))
        else:
            shutil.rmtree(root, ignore_errors=True)


def soak(stage: Stage, apps: int, seconds: float, seed: int) -> Sequence[Mapping[str, float]]:
    """The whole run; what daemon and router held at the two quiet moments of their last lives."""
    owners = [Owner(stage, n, [(app, 1 + app % 2) for app in range(n, apps, OWNERS)], seed) for n in range(OWNERS)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(OWNERS) as pool:
        list(pool.map(Owner.set_up, owners))
    print(f"  {apps} apps are up after {time.monotonic() - began:.0f} s\n", flush=True)
    act(stage, owners, seed, seconds * FIRST_PART, everything=True)
    # Nothing that was killed may be the young one of the comparison: both parts are of the same lives.
    warm(stage)
    before = held(stage)
    resume(stage)
    act(stage, owners, seed + 1, seconds * (1 - FIRST_PART), everything=False)
    tidy(stage)
    warm(stage)
    after = held(stage)
    stage.wrong += history(stage, owners)
    return before, after


def act(stage: Stage, owners: Sequence[Owner], seed: int, seconds: float, *, everything: bool) -> None:
    """Owners and the killer at work for so long; all of them have ended when this returns."""
    stage.stop.clear()
    killer = Killer(stage, seed)
    killer.everything = everything
    threads = [killer.start(), *(owner.start() for owner in owners)]
    try:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, PROGRESS_SECONDS))
            done = ", ".join(f"{count} {what}" for what, count in sorted(stage.done.items()))
            print(f"  {max(deadline - time.monotonic(), 0):4.0f} s left: {done}", flush=True)
    finally:  # Ctrl-C and SIGTERM too: the threads would go on for ever
        stage.stop.set()
        for thread in threads:
            thread.join()


def warm(stage: Stage) -> None:
    """The same dynos, reads of everything, then silence: what is held on demand is held in both measurements."""
    serving = [life.app for life in stage.lives.values() if life.gone == NEVER]
    for app in serving:
        stage.load.leave(app)  # its connections are not the router's leak
    level(stage)
    deadline = time.monotonic() + WARM_SECONDS
    while time.monotonic() < deadline:
        for app in serving:
            stage.daemon.call("GET", f"/apps/{app}/releases")
        stage.daemon.call("GET", "/apps")
    time.sleep(QUIET_SECONDS)  # connections kept for a while are let go


def level(stage: Stage) -> None:
    """Each app with as many dynos as it began with, all of them started by the daemon that is measured: to those it is
    attached from their start, to those of a daemon before it is not."""
    old: dict[str, set[str]] = {}
    lives = [life for life in stage.lives.values() if life.gone == NEVER]
    for life in lives:
        path = f"/apps/{life.app}"
        updates = {"updates": [{"type": "web", "quantity": life.dynos}]}
        old[life.app] = {dyno["id"] for dyno in stage.daemon.call("GET", f"{path}/dynos")[1]}
        answers = [
            stage.daemon.call("PATCH", f"{path}/formation", updates),
            stage.daemon.call("DELETE", f"{path}/dynos"),
        ]
        for status, answer in answers:
            if not 200 <= status < 300:
                stage.complain(f"{life.app} was not restarted: {status} {answer}")

    def fresh(life: Life) -> bool:
        dynos = stage.daemon.call("GET", f"/apps/{life.app}/dynos")[1]
        up = {dyno["id"] for dyno in dynos if dyno["state"] == "up"}
        return len(up) == len(dynos) == life.dynos and not up & old[life.app]

    try:
        wait_until(lambda: all(fresh(life) for life in lives), CLEAN_SECONDS, "restarted")
    except AssertionError:
        stage.complain(f"not restarted after {CLEAN_SECONDS:g} s: {[life.app for life in lives if not fresh(life)]}")


def resume(stage: Stage) -> None:
    """Load again on what is there."""
    for life in stage.lives.values():
        if life.gone == NEVER:
            stage.load.add(life.app)


def held(stage: Stage) -> dict[str, float]:
    """What daemon and router hold, "daemon MiB", "router threads", …"""
    own = stage.daemon.call("GET", "/paasd/process")[1]
    parent, workers = router_processes(stage.daemon)
    router = [process for process in (parent, *workers) if process is not None]
    found = {
        "daemon MiB": own["memory_bytes"] / 2**20,
        "daemon descriptors": own["descriptors"],
        "daemon threads": own["threads"],
        "daemon tasks": own["tasks"],
        "router MiB": 0.0,
        "router descriptors": 0.0,
        "router threads": 0.0,
    }
    for process in router:
        folder = Path(f"/proc/{process}")
        found["router MiB"] += int((folder / "statm").read_text().split()[1]) * 4096 / 2**20
        found["router descriptors"] += len(list((folder / "fd").iterdir()))
        found["router threads"] += len(list((folder / "task").iterdir()))
    return found


def tidy(stage: Stage) -> None:
    """Nothing is left that the ledger does not want, and nothing that it wants is missing."""
    found: list[str] = ["not looked at"]

    def clean() -> bool:
        with contextlib.suppress(OSError, StopIteration):
            found[:] = orphans(stage.daemon)
        return not found

    try:
        wait_until(clean, CLEAN_SECONDS, "left over")
    except AssertionError:
        stage.complain(f"left over after {CLEAN_SECONDS:g} s: {found}")


def history(stage: Stage, owners: Sequence[Owner]) -> list[str]:
    """What the checker of the fault suite says of every call of the run."""
    ends = {}
    for owner in owners:
        for shop in owner.shops.values():
            page = shop.get()[1]
            ends[shop.name] = End(
                releases=tuple(shop.call("GET", "/releases")[1]),
                config=shop.call("GET", "/config-vars")[1],
                maintenance=bool(shop.call("GET")[1]["maintenance"]),
                formation={entry["type"]: entry["quantity"] for entry in shop.call("GET", "/formation")[1]},
                served=int(page["release"][1:]) if isinstance(page, dict) else None,
            )
    return check(stage.daemon.history, ends)


def show(stage: Stage, traffic: Traffic, figures: Sequence[Mapping[str, float]]) -> bool:
    """The table, and whether every promise was kept."""
    judged = [judge_app(life, traffic.samples.get(life.app, []), stage.kills) for life in stage.lives.values()]
    print()
    rows = [requests("two or three", [one for one in judged if one.dynos >= 2])]
    rows.append(requests("one", [one for one in judged if one.dynos == 1]))
    table(
        ["dynos an app", "apps", "requests", "well", "%", "in flight on the killed", "own dyno killed", "failed"], rows
    )
    table(["done", "times"], [[what, str(count)] for what, count in sorted(stage.done.items())])
    before, after = figures
    table(["held", "before", "after"], [[name, f"{before[name]:.1f}", f"{after[name]:.1f}"] for name in before])
    print(f"  {len(stage.daemon.history.calls)} API calls, {stage.unanswered} of them without a daemon.")
    print(f"  The load was at most {traffic.late * 1000:.0f} ms behind.\n")
    failures(stage, judged)
    right = verdict(
        not (found := broken(judged)), "; ".join(found) or "every request that was promised an answer got it"
    )
    grown = leaks(before, after, SLACK)
    right &= verdict(not grown, "; ".join(grown) or "memory, descriptors, threads and tasks are flat")
    right &= verdict(not stage.wrong, "; ".join(stage.wrong) or "no orphan, no lost write, no unexcused answer")
    return right


def requests(name: str, judged: Sequence[Judged]) -> list[str]:
    well, failed = sum(one.well for one in judged), sum(len(one.failed) for one in judged)
    aside, outage = sum(one.aside for one in judged), sum(one.outage for one in judged)
    share = f"{well / (well + failed) * 100:.3f}" if well else "-"
    return [
        name,
        str(len(judged)),
        str(well + failed + aside + outage),
        str(well),
        share,
        str(aside),
        str(outage),
        str(failed),
    ]


def failures(stage: Stage, judged: Sequence[Judged]) -> None:
    """The first requests that failed: when, how, and what had been killed shortly before."""
    bad = [(one.app, sample) for one in judged for sample in one.failed]
    directory = stage.daemon.home.parent / f"{stage.daemon.home.name}-router"
    lines = [line for log in directory.glob("router.log*") for line in log.read_text(errors="replace").splitlines()]
    for app, sample in sorted(bad, key=lambda pair: pair[1].sent)[:SHOWN]:
        near = [
            f"{kill.victim.value} {kill.app} {sample.sent - kill.at:.2f} s before"
            for kill in stage.kills
            if -1 < sample.sent - kill.at < 10
        ]
        words = f"took {sample.latency:.2f} s, {sample.failure[:80]} ({', '.join(near) or 'no kill near'})"
        print(f"  {app}  {sample.kind}  {words}")
        print("\n".join(f"      {line}" for line in lines if sample.request_id in line))
    if len(bad) > SHOWN:
        print(f"  … and {len(bad) - SHOWN} more")


if __name__ == "__main__":
    sys.exit(main())
