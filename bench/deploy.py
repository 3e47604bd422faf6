"""`make bench-deploy`: a cached redeploy and a rollback beside the bare engine's floor, taken in turn in one run.

ENGINE=process: beside a bare start of the app, which is all that anybody needs to do without an engine.
"""

import argparse
import contextlib
import functools
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench.page import ms, table, title, verdict
from bench.scene import APP, PROCESS, Scene, scene
from tests.daemon import ROOT, free_port

SUBNET, ADDRESS = "10.214.255.0/27", "10.214.255.2"  # known beforehand: the floor need not ask the engine for it
PORT = 5000
LOOK_SECONDS = 0.005
READY_SECONDS = 30.0
SHARE, SPARE_SECONDS = 0.10, 0.150  # the goal: overhead under this share of the floor, plus this


@dataclass(frozen=True)
class Client:
    """A way to type `docker build` on this machine."""

    label: str
    program: str
    environment: Mapping[str, str]

    def build(self, source: Path, image: str) -> bool:
        """Whether it could."""
        command = [self.program, "build", "--quiet", "--tag", image, str(source)]
        done = subprocess.run(command, capture_output=True, env={**os.environ, **self.environment})
        return done.returncode == 0


@dataclass
class Floor:
    """What anybody can do with the engine alone: `docker build`, `docker run`, and a look at the port."""

    source: Path
    name: str
    client: Client
    changes: int = 0

    def redeploy(self, client: Client) -> float:
        """Seconds of a build after a change of one line, of a start, and until the port is ready."""
        self.change()
        began = time.monotonic()
        if not client.build(self.source, self.name):
            raise RuntimeError(f"{client.label} no longer works.")
        self.run()
        seconds = time.monotonic() - began
        self.remove()
        return seconds

    def start(self) -> float:
        """Seconds of a start of what was built, and until the port is ready."""
        began = time.monotonic()
        self.run()
        seconds = time.monotonic() - began
        self.remove()
        return seconds

    def change(self) -> None:
        self.changes += 1
        file = self.source / "server.py"
        text = file.read_text().rsplit("# change ", 1)[0].rstrip("\n")
        file.write_text(f"{text}\n# change {self.changes} of {self.name}\n")

    def run(self) -> None:
        options = ["--name", self.name, "--network", self.name, "--ip", ADDRESS, "--env", f"PORT={PORT}"]
        docker(self.client.program, "run", "--detach", *options, self.name)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((ADDRESS, PORT), 1.0):
                return
            time.sleep(LOOK_SECONDS)
        raise RuntimeError("The floor's container did not listen.")

    def remove(self) -> None:
        docker(self.client.program, "rm", "--force", "--volumes", self.name)


@dataclass
class BareFloor:
    """What anybody can do without an engine: start the app, and look at the port."""

    source: Path

    def start(self) -> float:
        """Seconds of a start, and until the port is ready."""
        port = free_port()
        program = ["/usr/bin/python3", "-I", "-S", "server.py"]
        environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
        began = time.monotonic()
        with subprocess.Popen(program, cwd=self.source, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                while time.monotonic() < began + READY_SECONDS:
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                        return time.monotonic() - began
                    time.sleep(LOOK_SECONDS)
                raise RuntimeError("The floor's process did not listen.")
            finally:
                process.kill()


@dataclass
class Taken:
    """Seconds of each round, by what was measured; and of the stages inside paasd's."""

    totals: dict[str, list[float]] = field(default_factory=dict)
    redeploy_stages: dict[str, list[float]] = field(default_factory=dict)
    rollback_stages: dict[str, list[float]] = field(default_factory=dict)


def docker(program: str, *arguments: str) -> None:
    """RuntimeError with its words when it fails."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")


def clients(source: Path, image: str) -> list[Client]:
    """The client on PATH as it is, and the first one that builds by BuildKit."""
    programs = dict.fromkeys(
        found for folder in os.get_exec_path() if (found := shutil.which("docker", path=folder)) is not None
    )
    working = []
    for program in list(programs)[:1]:
        working.append(Client(f"{program} build", program, {"DOCKER_BUILDKIT": "0"}))
    for program in programs:
        client = Client(f"DOCKER_BUILDKIT=1 {program} build", program, {"DOCKER_BUILDKIT": "1"})
        if client.build(source, image):
            working.append(client)
            break
    return [client for client in working if client.build(source, image)]


@dataclass(frozen=True)
class Floors:
    """Ways to redeploy without us, by name, and a way to start what is built."""

    redeploys: Mapping[str, Callable[[], float]]
    label: str
    start: Callable[[], float]


@contextlib.contextmanager
def floors(stage: Scene, engine: str) -> Iterator[Floors]:
    """A copy of the app's source and a bridge network like an app's; everything is removed at the end."""
    if engine == PROCESS:
        bare = BareFloor(ROOT / "examples" / APP)
        yield Floors({}, "start of the app + ready", bare.start)
        return
    name = f"paasd-floor-{os.getpid()}"
    source = stage.root / "floor"
    shutil.copytree(ROOT / "examples" / APP, source)
    found = clients(source, name)
    if not found:
        raise RuntimeError("No docker client on PATH can build examples/hello; see `docker build examples/hello`.")
    program = found[0].program
    docker(program, "network", "create", "--subnet", SUBNET, name)
    try:
        floor = Floor(source, name, found[0])
        redeploys = {client.label: functools.partial(floor.redeploy, client) for client in found}
        yield Floors(redeploys, "docker run + ready", floor.start)
    finally:
        for command in (["rm", "--force", name], ["network", "rm", name], ["rmi", "--force", name]):
            subprocess.run([program, *command], capture_output=True)


def measure(stage: Scene, floor: Floors, rounds: int) -> Taken:
    """Each of them once a round, in turn; nothing of the one before goes on while the next is timed."""
    taken = Taken()
    for number in range(rounds + 1):
        row = {label: take() for label, take in floor.redeploys.items()}
        row[floor.label] = floor.start()
        row["redeploy"], redeploy_stages = redeploy(stage)
        row["rollback"], rollback_stages = roll_back(stage)
        if number == 0:
            continue  # the first round only warms caches
        for into, values in (
            (taken.totals, row),
            (taken.redeploy_stages, redeploy_stages),
            (taken.rollback_stages, rollback_stages),
        ):
            for label, seconds in values.items():
                into.setdefault(label, []).append(seconds)
        print(
            f"  round {number} of {rounds}: " + ", ".join(f"{name} {ms(took)}" for name, took in row.items()),
            flush=True,
        )
    print()
    return taken


def redeploy(stage: Scene) -> tuple[float, dict[str, float]]:
    """Seconds until the push has returned, and where they went."""
    stage.commit_a_change()
    began = time.time()
    seconds = stage.push()
    version = stage.newest()
    stages = stage.retired(version)
    created, finished = build_times(stage.daemon.home / "store.db")
    split = {
        "push: git, until the build begins": created - began,
        "build: unpack, detect, image": finished - created,
        "from the build to the record": at(stages[0]) - finished,
        **stage_seconds(stages),
        "end of the push": began + seconds - at(by_name(stages)["promote"]),
    }
    return seconds, split


def roll_back(stage: Scene) -> tuple[float, dict[str, float]]:
    """Seconds until the rollback to the release before is promoted, and where they went.

    The end is read from the ledger (the stage after the promotion, on the same clock): asking every few milliseconds
    would take a processor from what is measured, which the floor's look at a port does not.
    """
    target = stage.newest() - 1
    wall = time.time()
    version = int(stage.api("POST", f"/apps/{APP}/releases", {"release": str(target)})["version"])
    stage.promoted(version)
    stages = stage.retired(version)
    seconds = at(by_name(stages)["retire previous"]) - wall
    split = {
        "request, until the record": at(stages[0]) - wall,
        **stage_seconds(stages),
        "promote": wall + seconds - at(by_name(stages)["promote"]),
    }
    return seconds, split


def stage_seconds(stages: Sequence[dict[str, object]]) -> dict[str, float]:
    """Of the stages that end before the promotion."""
    names = ("record", "release phase", "start dynos", "await healthy", "swap route")
    known = by_name(stages)
    return {name: float(str(known[name]["seconds"])) for name in names if name in known}


def by_name(stages: Sequence[dict[str, object]]) -> dict[str, dict[str, object]]:
    return {str(stage["stage"]): stage for stage in stages}


def at(stage: Mapping[str, object]) -> float:
    """Seconds since 1970 of its beginning."""
    return datetime.fromisoformat(str(stage["at"])).timestamp()


def build_times(store: Path) -> tuple[float, float]:
    """When the newest build began and ended, finer than the API tells it."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT created_at, updated_at FROM builds ORDER BY created_at DESC LIMIT 1").fetchone()
    return row[0] / 1e6, row[1] / 1e6  # kept in microseconds


def show(taken: Taken, floor: Floors) -> bool:
    """The tables and the verdicts."""
    rows = [[f"floor: {label} + run + ready", *spread(taken.totals[label])] for label in floor.redeploys]
    rows.append(["redeploy: git push, one line changed", *spread(taken.totals["redeploy"])])
    rows.append([f"floor: {floor.label}", *spread(taken.totals[floor.label])])
    rows.append(["rollback: POST releases until promoted", *spread(taken.totals["rollback"])])
    table(["ms", "median", "min", "max"], rows)
    for label, stages in (("redeploy", taken.redeploy_stages), ("rollback", taken.rollback_stages)):
        table([f"where a {label} spends it, ms", "median", "min", "max"], [[k, *spread(v)] for k, v in stages.items()])
    met = True
    if floor.redeploys:
        fastest = min(floor.redeploys, key=lambda label: statistics.median(taken.totals[label]))
        met = judge("redeploy", taken.totals["redeploy"], taken.totals[fastest])
    return judge("rollback", taken.totals["rollback"], taken.totals[floor.label]) and met


def judge(label: str, ours: Sequence[float], floor: Sequence[float]) -> bool:
    """The goal of an overhead under 10 % of the floor plus 150 ms, on medians, against the fastest floor."""
    mine, bare = statistics.median(ours), statistics.median(floor)
    over, allowed = mine - bare, SHARE * bare + SPARE_SECONDS
    text = f"{label}: {ms(mine)} ms on a floor of {ms(bare)} ms is {over * 1000:+.0f} ms ({over / bare:+.0%})"
    return verdict(over < allowed, f"{text}; the goal is under {allowed * 1000:+.0f} ms")


def spread(seconds: Sequence[float]) -> list[str]:
    return [ms(statistics.median(seconds)), ms(min(seconds)), ms(max(seconds))]


def main() -> int:
    """0 when both overheads are within the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of which medians are taken")
    parser.add_argument("--engine", default=os.environ.get("ENGINE") or "docker", choices=("docker", PROCESS))
    given = parser.parse_args()
    title(f"A cached redeploy and a rollback beside the bare engine, medians of {given.rounds}, taken in turn")
    with scene(given.engine) as stage, floors(stage, given.engine) as floor:
        taken = measure(stage, floor, given.rounds)
    return 0 if show(taken, floor) else 1


if __name__ == "__main__":
    sys.exit(main())
