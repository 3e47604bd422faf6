"""`make bench-api`: what an API call costs, and how that grows with apps and releases. One daemon, one connection.

The apps hold no code, so that no dyno is in the way: each config change is a release in the ledger all the same.
"""

import argparse
import http.client
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench.idle import processor
from bench.page import ms, quantile, table, title, verdict
from tests.daemon import Daemon, running

APPS = (1, 100, 1000)
RELEASES = 10_000
GROWTH_MAX, RATE_MIN = 1.5, 500.0
ACCEPT = "application/vnd.heroku+json; version=3"


class Client:
    """One connection that is kept."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.api_port, timeout=60)
        self._headers = {"Accept": ACCEPT, "Authorization": f"Bearer {daemon.token}"}
        self._headers["Content-Type"] = "application/json"

    def call(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[float, http.client.HTTPResponse]:
        """Seconds until the answer was read, and the answer."""
        data = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self._connection.request(method, path, data, {**self._headers, **headers})
        answer = self._connection.getresponse()
        answer.read()
        seconds = time.perf_counter() - began
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} was answered {answer.status}")
        return seconds, answer


def taken(count: int, call: Callable[[int], float]) -> list[float]:
    """Rising seconds of so many calls."""
    return sorted(call(number) for number in range(count))


def pages(client: Client) -> list[float]:
    """The list of all releases of app-0, by pages of 1,000."""
    wanted, times = "version ..; max=1000", []
    while wanted:
        seconds, answer = client.call("GET", "/apps/app-0/releases", Range=wanted)
        times.append(seconds)
        wanted = answer.headers.get("Next-Range") or ""
    return sorted(times)


def rate(client: Client, daemon: Daemon, calls: int) -> float:
    """GETs that the daemon could answer in a second of one core's time."""
    assert daemon.process is not None
    before = processor([daemon.process.pid])
    for _ in range(calls):
        client.call("GET", "/apps/app-0")
    return calls / (processor([daemon.process.pid]) - before)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-api")
    parser.add_argument("--calls", type=int, default=500, help="calls a figure (500)")
    parser.add_argument("--releases", type=int, default=RELEASES, help=f"releases of the listed app ({RELEASES})")
    given = parser.parse_args()
    title("The API: one call after the other, on one connection")
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, config={"rate_limit": 10**9}) as daemon:
            return measure(daemon, given.calls, given.releases)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def measure(daemon: Daemon, calls: int, releases: int) -> int:
    client, rows, reads = Client(daemon), [], {}
    rates, made = {}, 0
    for apps in APPS:
        while made < apps:
            client.call("POST", "/apps", {"name": f"app-{made}"})
            made += 1
        info = taken(calls, partial(get_app, client, apps))
        config = taken(calls // 5, partial(set_config, client, apps))
        listed = taken(20, lambda _: client.call("GET", "/apps")[0])
        reads[apps], rates[apps] = quantile(info, 0.99), rate(client, daemon, calls)
        rows += [row(apps, "app info", info), row(apps, "config set", config), row(apps, "list of apps", listed)]
    for number in range(releases - calls):
        set_config(client, 1, number)
    rows.append(row(made, f"page of 1,000 of {releases} releases", pages(client)))
    table(("apps", "call", "p50 ms", "p99 ms"), rows)
    growth = reads[APPS[-1]] / reads[APPS[0]]
    slowest = min(rates.values())
    met = [
        verdict(
            growth <= GROWTH_MAX, f"app info's p99 at {APPS[-1]} apps is {growth:.2f} times that at one ({GROWTH_MAX})"
        ),
        verdict(slowest >= RATE_MIN, f"{slowest:.0f} GETs a second of one core ({RATE_MIN:.0f})"),
    ]
    return 0 if all(met) else 1


def get_app(client: Client, apps: int, number: int) -> float:
    """Seconds of one app's info; each of so many in turn."""
    return client.call("GET", f"/apps/app-{number % apps}")[0]


def set_config(client: Client, apps: int, number: int) -> float:
    """Seconds of one config change, which is a release; each of so many apps in turn."""
    return client.call("PATCH", f"/apps/app-{number % apps}/config-vars", {"N": str(time.time())})[0]


def row(apps: int, name: str, times: Sequence[float]) -> tuple[str, ...]:
    return (str(apps), name, ms(quantile(times, 0.5)), ms(quantile(times, 0.99)))


if __name__ == "__main__":
    sys.exit(main())
