"""`make bench-addons`: from `addons:create` to the first query, in turn with `docker run` of the same image."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.page import ms, table, title, verdict
from tests.daemon import Daemon, running

IMAGE = "paasd/postgresql:15"
PLAN = "heroku-postgresql:essential-0"
SHARE, SPARE_SECONDS = 0.10, 0.150  # the goal: overhead under this share of the floor, plus this
READY_SECONDS = 120.0
LOOK_SECONDS = 0.01
PSQL = max(Path("/usr/lib/postgresql").glob("*/bin/psql"), default=Path("psql"))
# What anybody would have it do: data in a volume, synced to disk, and a server that this host may ask.
START = (
    "cd /var/lib/postgresql/data; bin=$(ls -d /usr/lib/postgresql/*/bin); "
    "$bin/initdb -D cluster -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null; "
    "echo 'host all all all trust' >>cluster/pg_hba.conf; exec $bin/postgres -D cluster -c listen_addresses='*' "
    "-c unix_socket_directories=/tmp"
)


def floor() -> float:
    """Seconds of `docker run` of the image with a volume, until it answers a query."""
    name = f"paasd-bench-{uuid.uuid4().hex[:8]}"
    options = ["--name", name, "--volume", f"{name}:/var/lib/postgresql/data", "--user", "999:999"]
    try:
        began = time.monotonic()
        docker("run", "--detach", *options, "--entrypoint", "/bin/sh", IMAGE, "-ec", START)
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        wait(lambda: answers(f"postgres://postgres@{address}/postgres"))
        return time.monotonic() - began
    finally:
        docker("rm", "--force", name)
        docker("volume", "rm", "--force", name)


def ours(daemon: Daemon) -> float:
    """Seconds of POST /apps/…/addons, until the URL of the app's config answers a query."""
    app = f"data-{uuid.uuid4().hex[:8]}"
    call(daemon, "POST", "/apps", {"name": app})
    try:
        began = time.monotonic()
        call(daemon, "POST", f"/apps/{app}/addons", {"plan": PLAN})
        found: list[str] = []

        def attached() -> bool:
            found[:] = filter(None, [call(daemon, "GET", f"/apps/{app}/config-vars").get("DATABASE_URL")])
            return bool(found)

        wait(attached)
        wait(lambda: answers(found[0]))
        return time.monotonic() - began
    finally:
        call(daemon, "DELETE", f"/apps/{app}")


def call(daemon: Daemon, method: str, path: str, body: object = None) -> Any:
    """RuntimeError with its words when it is refused."""
    status, content = daemon.call(method, path, body)
    if status >= 400:
        raise RuntimeError(f"{method} {path}: {status} {content}")
    return content


def answers(url: str) -> bool:
    """Whether psql of this host gets a row."""
    environment = {"PGCONNECT_TIMEOUT": "3", "PATH": os.environ["PATH"]}
    done = subprocess.run([str(PSQL), "-qAtX", url, "-c", "SELECT 1"], env=environment, capture_output=True, text=True)
    return done.stdout.strip() == "1"


def wait(condition: Callable[[], bool]) -> None:
    """RuntimeError at the deadline."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("It was not ready in time.")
        time.sleep(LOOK_SECONDS)


def docker(*arguments: str) -> str:
    """What it prints; RuntimeError with its words when it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """0 when the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    title("From addons:create to the first query: PostgreSQL in a container")
    taken: dict[str, list[float]] = {"docker run": [], "paasd": []}
    with (
        tempfile.TemporaryDirectory(prefix="paasd-bench-") as name,
        running(Path(name), options=("--engine", "docker")) as daemon,
    ):
        for _ in range(rounds):
            taken["docker run"].append(floor())
            taken["paasd"].append(ours(daemon))
    rows = [
        [label, *(ms(value) for value in (statistics.median(values), min(values), max(values)))]
        for label, values in taken.items()
    ]
    table(["ms", "median", "least", "most"], rows)
    bare, with_us = (statistics.median(values) for values in taken.values())
    goal = SHARE * bare + SPARE_SECONDS
    text = f"overhead {ms(with_us - bare)} ms, the goal is under {ms(goal)} ms (10 % of the floor and 150 ms)"
    return 0 if verdict(with_us - bare < goal, text) else 1


if __name__ == "__main__":
    sys.exit(main())
