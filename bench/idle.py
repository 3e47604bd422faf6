"""`make bench-idle`: memory of daemon and router after one deploy and 1,000 API calls, and their processor use idle."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.page import table, title, verdict
from bench.scene import APP, Scene, scene

DAEMON_MIB, STRETCH_MIB, ROUTER_MIB = 110.0, 95.0, 60.0
IDLE_PERCENT = 0.5  # of one core, each
TICK = os.sysconf("SC_CLK_TCK")
MAINTENANCE_EVERY, CONFIG_EVERY = 100, 400  # calls between two writes of the kind


@dataclass(frozen=True)
class Memory:
    """MiB, summed over the processes: resident, its proportional share, and the most that was ever resident."""

    rss: float
    pss: float
    peak: float


def memory(processes: Sequence[int]) -> Memory:
    """Of these processes."""

    def total(name: str, file: str) -> float:
        texts = [Path(f"/proc/{process}/{file}").read_text() for process in processes]
        lines = [line for text in texts for line in text.splitlines() if line.startswith(f"{name}:")]
        return sum(int(line.split()[1]) for line in lines) / 1024

    return Memory(total("VmRSS", "status"), total("Pss", "smaps_rollup"), total("VmHWM", "status"))


def processor(processes: Sequence[int]) -> float:
    """Seconds of processor used so far by all their threads: by the clock ticks, or finer where the kernel tells."""
    ticks = fine = 0.0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += (int(fields[11]) + int(fields[12])) / TICK
        for thread in Path(f"/proc/{process}/task").iterdir():
            fine += int((thread / "schedstat").read_text().split()[0]) / 1e9
    return max(ticks, fine)


def family(process: int, *others: int) -> list[int]:
    """The process and all that descend from it, but for those `others`: the daemon starts the router, too."""
    found = [process]
    for one in found:
        for thread in Path(f"/proc/{one}/task").iterdir():
            children = [int(child) for child in (thread / "children").read_text().split()]
            found += [child for child in children if child not in others]
    return found


def reads(stage: Scene) -> list[str]:
    """The resources behind the CLI's commands."""
    release = stage.api("GET", f"/apps/{APP}/releases/2?extended=true")
    slug = release["slug"]["id"]
    app = f"/apps/{APP}"
    own = ["", "/releases", "/releases/2", "/releases/2?extended=true", "/releases/2/config-vars", "/config-vars"]
    own += ["/formation", "/dynos", "/builds", f"/builds/{slug}", f"/slugs/{slug}", "/collaborators", "/addons"]
    return ["/account", "/apps", "/paasd/router", *(f"{app}{path}" for path in own)]


def call(stage: Scene, calls: int) -> int:
    """Calls in turn over one connection; how many of them were writes."""
    paths, writes = reads(stage), 0
    for number in range(1, calls + 1):
        if number % CONFIG_EVERY == 0:
            stage.api("PATCH", f"/apps/{APP}/config-vars", {"GREETING": f"hello {number}"})
            stage.promoted(stage.newest())
        elif number % MAINTENANCE_EVERY == 0:
            stage.api("PATCH", f"/apps/{APP}", {"maintenance": number % (2 * MAINTENANCE_EVERY) != 0})
        elif number % MAINTENANCE_EVERY == MAINTENANCE_EVERY // 2:
            stage.api("POST", f"/apps/{APP}/log-sessions", {"lines": 10})
        else:
            stage.api("GET", paths[number % len(paths)])
            continue
        writes += 1
    stage.api("PATCH", f"/apps/{APP}", {"maintenance": False})
    return writes


def used(processes: Sequence[Sequence[int]], seconds: float) -> list[float]:
    """Percent of a core that each group used while nothing was asked of it."""
    before = [processor(group) for group in processes]
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return [(processor(group) - spent) / passed * 100 for group, spent in zip(processes, before, strict=True)]


def mib(value: float) -> str:
    return f"{value:.1f}"


def main() -> int:
    """0 when all bounds are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="API calls before the measurement")
    parser.add_argument("--seconds", type=float, default=30.0, help="of idling")
    given = parser.parse_args()
    title(f"Daemon and router after one deploy and {given.calls} API calls, then {given.seconds:g} s idle")
    with scene() as stage:
        assert stage.daemon.process is not None
        daemon, router = stage.daemon.process.pid, int(stage.api("GET", "/paasd/router")["pid"])
        groups = [family(daemon, router), family(router)]
        started = [memory(group) for group in groups]
        began = time.monotonic()
        writes = call(stage, given.calls)
        took = time.monotonic() - began
        stage.retired(stage.newest())
        groups = [family(daemon, router), family(router)]
        idle = used(groups, given.seconds)
        after = [memory(group) for group in groups]
    rows = []
    for name, group, first, last, percent in zip(("daemon", "router"), groups, started, after, idle, strict=True):
        figures = [mib(value) for value in (first.rss, last.rss, last.pss, last.peak)]
        rows.append([name, str(len(group)), *figures, f"{percent:.2f}"])
    table(["MiB", "processes", "RSS deployed", "RSS after", "PSS after", "peak RSS", "idle %"], rows)
    print(f"  {given.calls} calls, {writes} of them writes, took {took:.1f} s.\n")
    ours, routers = after
    met = verdict(ours.rss < DAEMON_MIB, f"daemon {mib(ours.rss)} MiB RSS, under {DAEMON_MIB:g}")
    verdict(ours.rss < STRETCH_MIB, f"daemon under {STRETCH_MIB:g} MiB (stretch: no failure)")
    met &= verdict(routers.rss < ROUTER_MIB, f"router {mib(routers.rss)} MiB RSS, under {ROUTER_MIB:g}")
    for name, percent in zip(("daemon", "router"), idle, strict=True):
        met &= verdict(percent < IDLE_PERCENT, f"{name} {percent:.2f} % of a core idle, under {IDLE_PERCENT:g} %")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
