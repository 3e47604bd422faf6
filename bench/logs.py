"""`make bench-logs`: one app prints 100 MB/s. How long a line of another app takes to who tails it, how long the app
itself is held up in a write, how soon the API answers, and whether each of its lines is kept or counted."""

import argparse
import http.client
import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench.idle import family, memory
from bench.page import table, title, verdict
from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import Daemon, running_alone

RATE = 100_000_000.0  # bytes a second
LINE = 100
TAIL_SECONDS, HELD_SECONDS, LAG_SECONDS = 1.0, 1.0, 0.2
KEPT = 110_000_000  # bytes: 100 MB and the piece being written
DROPPED = re.compile(r"heroku\[logplex\]: Error L10 \(output buffer overflow\): (\d+) messages dropped")
CALM_LOOKS = 6
LOOK_SECONDS = 3.0
PATIENCE_SECONDS = 180.0

FLOOD = """
import http.server, json, os, threading, time
seen = {"printed": 0, "held": 0.0, "seconds": 0.0, "done": True}
BLOCK = (b"flood " + b"x" * (LINE - 7) + b"\\n") * 100

def flood(seconds, rate, lines):
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds and seen["printed"] < lines:
        os.write(1, BLOCK)
        seen["held"] = max(seen["held"], time.monotonic() - now)
        seen["printed"] += 100
        ahead = seen["printed"] * LINE / rate - (time.monotonic() - began)
        if ahead > 0.005:
            time.sleep(ahead)
    seen["seconds"] = time.monotonic() - began
    seen["done"] = True

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.path.split("/")
        if asked[1] == "flood":
            seen.update(printed=0, held=0.0, done=False)
            threading.Thread(target=flood, args=tuple(map(float, asked[2:])), daemon=True).start()
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answers).serve_forever()
""".replace("LINE", str(LINE))
CLOCK = """
import os, threading, time

def tick():
    while True:
        print("tick", time.time(), flush=True)
        time.sleep(0.1)

threading.Thread(target=tick, daemon=True).start()
"""


@dataclass
class Seen:
    """Seconds, all but the counts and bytes."""

    delays: list[float] = field(default_factory=list)  # of the other app's lines, to who tails them
    answers: list[float] = field(default_factory=list)  # of GET /health
    printed: int = 0
    seconds: float = 0.0
    held: float = 0.0  # the longest write
    kept: int = 0
    dropped: int = 0
    disk: int = 0
    grown_mib: float = 0.0  # the daemon's memory

    before: int = 0  # lines of floods before, kept or counted

    @property
    def uncounted(self) -> int:
        """Lines that are neither in the log nor in a count."""
        return self.before + self.printed - self.kept - self.dropped


def p99(seconds: list[float]) -> float:
    """0 without any."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.99))] if seconds else 0.0


def open_apps(daemon: Daemon, directory: Path) -> tuple[Shop, Shop]:
    """The one that floods when it is told to, and one that prints the time ten times a second."""
    server = (HELLO / "server.py").read_text()
    flood, clock = (open_shop(daemon, directory / name, name) for name in ("flood", "clock"))
    flood.deploy({"server.py": FLOOD})
    clock.deploy({"server.py": server.replace("\ndef main():", f"{CLOCK}\n\ndef main():")})
    return flood, clock


def flooded(
    daemon: Daemon,
    flood: Shop,
    clock: Shop,
    seconds: float,
    rate: float = RATE,
    lines: float = 1e12,
    before: int = 0,
) -> Seen:
    """What was seen while one app printed so much, and of its log afterwards. `before`: kept or counted until now."""
    assert daemon.process is not None
    router = int(daemon.call("GET", "/paasd/router")[1]["pid"])
    processes = family(daemon.process.pid, router)
    small = memory(processes).rss
    seen = Seen(before=before)
    with _beside(partial(_tail, clock, seen)), _beside(partial(_ask, daemon, seen)):
        daemon.get(flood.name, f"/flood/{seconds}/{rate}/{lines}")
        while not (told := json.loads(daemon.get(flood.name)[1]))["done"]:
            time.sleep(0.5)
    seen.grown_mib = memory(family(daemon.process.pid, router)).rss - small
    seen.printed, seen.held, seen.seconds = told["printed"], told["held"], told["seconds"]
    _counted(flood, seen)
    directory = daemon.home / "apps" / flood.call("GET")[1]["id"] / "log"
    seen.disk = sum(file.stat().st_size for file in directory.iterdir())
    return seen


def _counted(flood: Shop, seen: Seen) -> None:
    """Wait until all is read, or nothing more comes."""
    calm, deadline = 0, time.monotonic() + PATIENCE_SECONDS
    while seen.uncounted and calm < CALM_LOOKS and time.monotonic() < deadline:
        before = seen.kept, seen.dropped
        seen.kept = seen.dropped = 0
        for line in _lines(flood, {"since": "2000-01-01T00:00:00Z"}):
            seen.kept += b"]: flood " in line
            if (found := DROPPED.search(line.decode())) is not None:
                seen.dropped += int(found[1])
        calm = calm + 1 if before == (seen.kept, seen.dropped) else 0
        time.sleep(LOOK_SECONDS if seen.uncounted else 0)


def _lines(shop: Shop, wish: Mapping[str, object]) -> Iterator[bytes]:
    url = urlsplit(shop.call("POST", "/log-sessions", wish)[1]["logplex_url"])
    assert url.hostname is not None
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    try:
        connection.request("GET", f"{url.path}?{url.query}")
        yield from connection.getresponse()
    finally:
        connection.close()


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """It runs in a thread of its own until the event it is given is set, at the end."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(60)


def _tail(clock: Shop, seen: Seen, ended: threading.Event) -> None:
    for line in _lines(clock, {"lines": 1, "tail": True}):
        if ended.is_set():
            return
        _, tick, at = line.partition(b"]: tick ")
        if tick:
            seen.delays.append(time.time() - float(at))


def _ask(daemon: Daemon, seen: Seen, ended: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.api_port, timeout=60)
    while not ended.wait(0.05):
        began = time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        seen.answers.append(time.monotonic() - began)
    connection.close()


def main() -> int:
    """0 when all bounds are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the flood")
    given = parser.parse_args()
    title(f"An app that prints {RATE / 1e6:g} MB/s for {given.seconds:g} s, beside one that prints ten lines a second")
    with tempfile.TemporaryDirectory() as directory, running_alone({}) as daemon:
        apps = open_apps(daemon, Path(directory))
        calm = flooded(daemon, *apps, 5, 100_000.0)
        seen = flooded(daemon, *apps, given.seconds, before=calm.kept + calm.dropped)
    rows = []
    for name, one in (("calm", calm), ("flood", seen)):
        figures = [one.seconds and one.printed * LINE / one.seconds / 1e6, p99(one.delays), max(one.delays, default=0)]
        figures += [p99(one.answers), max(one.answers, default=0), one.held]
        rows.append([name, *(f"{figure:.3f}" for figure in figures)])
    table(["s", "MB/s", "tail p99", "longest", "API p99", "longest", "held"], rows)
    print(f"  {seen.printed} lines: {seen.kept} kept, {seen.dropped} counted as dropped, {seen.uncounted} neither.")
    print(f"  The log takes {seen.disk / 1e6:.1f} MB; the daemon grew by {seen.grown_mib:.1f} MiB.\n")
    met = verdict(p99(seen.delays) < TAIL_SECONDS, f"the other app's tail p99 {p99(seen.delays):.3f} s")
    met &= verdict(seen.held < HELD_SECONDS, f"the app was held up for {seen.held:.3f} s at most")
    met &= verdict(p99(seen.answers) < LAG_SECONDS, f"the API answers within {p99(seen.answers):.3f} s (p99)")
    met &= verdict(seen.disk < KEPT, f"{seen.disk / 1e6:.1f} MB on the disk")
    met &= verdict(not seen.uncounted, f"{seen.uncounted} lines in no count")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
