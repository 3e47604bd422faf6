"""What the router has counted, for Prometheus. The figures are read off what the log writes, in batches, off the path
of requests: so they say what the log says, and no request waits for them.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

from router.access_log import LogEntry, Record

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CODE = re.compile(r"at=\w+ code=(\w+) ")
_END = re.compile(r"(\d+)ms status=(\d+) bytes=(\d+)")
_NO_APP = "-"
_KINDS = tuple(f"{kind}xx" for kind in range(10))


class AppFigures(msgspec.Struct):
    """One app's requests: by status class ("2xx"), by H code, and how long they took. `buckets` ends with the rest."""

    statuses: dict[str, int] = {}
    codes: dict[str, int] = {}
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    bytes: int = 0


class Figures(msgspec.Struct):
    """One worker's counts since it began; `targets` are requests in flight now, by "HOST:PORT"."""

    apps: dict[str, AppFigures] = {}
    targets: dict[str, int] = {}
    clients: int = 0
    lane_hits: int | None = None


class Counted:
    """Counts log entries; `figures` gives what there is so far."""

    def __init__(self) -> None:
        self._apps: dict[str, AppFigures] = {}

    def count(self, records: Iterable[Record]) -> None:
        """Take requests in that have ended. Apps that are routed no more are dropped by `keep`."""
        for record in records:
            if not isinstance(record, LogEntry):
                self._add(record.app, record.status // 100, record.ended - record.started, record.sent)
                continue
            begin, _, end = record.line.rpartition(" service=")
            found = _END.match(end)
            if found is None:
                continue
            milliseconds, status, size = found.groups()
            app = self._add(record.app or _NO_APP, int(status[0]), int(milliseconds) / 1000, int(size))
            if not begin.startswith("at=info method=") and (coded := _CODE.match(begin)) is not None:
                code = coded[1]
                app.codes[code] = app.codes.get(code, 0) + 1

    def _add(self, name: str, kind: int, seconds: float, size: int) -> AppFigures:
        app = self._apps.get(name)
        if app is None:
            app = self._apps[name] = AppFigures()
        statuses, kinds = app.statuses, _KINDS[kind]
        statuses[kinds] = statuses.get(kinds, 0) + 1
        app.buckets[bisect_left(BUCKETS, seconds)] += 1
        app.seconds += seconds
        app.bytes += size
        return app

    def keep(self, apps: frozenset[str]) -> None:
        """Drop the figures of all apps but these: destroyed ones must not be kept for ever."""
        for app in self._apps.keys() - apps - {_NO_APP}:
            del self._apps[app]

    @property
    def apps(self) -> dict[str, AppFigures]:
        return self._apps


def render(workers: Iterable[Figures], *, names: Mapping[str, str], table: int) -> str:
    """All workers' figures as one, in Prometheus' text form; `names` are the apps' names by id."""
    given = list(workers)
    apps: dict[str, list[AppFigures]] = {}
    targets: dict[str, int] = {}
    for figures in given:
        for app, each in figures.apps.items():
            apps.setdefault(app, []).append(each)
        for target, count in figures.targets.items():
            targets[target] = targets.get(target, 0) + count
    lines = _family("paasd_router_workers", "gauge", "Processes that serve or finish.", [("", len(given))])
    lines += _family("paasd_router_table_version", "gauge", "Counter of the routing table in force.", [("", table)])
    connections = sum(figures.clients for figures in given)
    lines += _family("paasd_router_client_connections", "gauge", "Open client connections.", [("", connections)])
    lanes = [figures.lane_hits for figures in given if figures.lane_hits is not None]
    if lanes:
        lines += _family(
            "paasd_router_lane_hits_total", "counter", "Requests that took the fast lane.", [("", sum(lanes))]
        )
    in_flight = [(_labels(target=target), count) for target, count in sorted(targets.items())]
    lines += _family("paasd_router_in_flight", "gauge", "Requests in flight, websockets included.", in_flight)
    lines += _app_lines({app: _sum(each) for app, each in sorted(apps.items())}, names)
    return "\n".join(lines) + "\n"


def _app_lines(apps: Mapping[str, AppFigures], names: Mapping[str, str]) -> list[str]:
    def of(app: str, **more: str) -> str:
        return _labels(app=names.get(app, app), **more)

    requests = [(of(app, status=kind), n) for app, each in apps.items() for kind, n in sorted(each.statuses.items())]
    codes = [(of(app, code=code), n) for app, each in apps.items() for code, n in sorted(each.codes.items())]
    lines = _family("paasd_router_requests_total", "counter", "Answered requests by class of status.", requests)
    lines += _family("paasd_router_codes_total", "counter", "Requests that ended with an H code.", codes)
    sizes = [(of(app), each.bytes) for app, each in apps.items()]
    lines += _family("paasd_router_sent_bytes_total", "counter", "Bytes of bodies sent to clients.", sizes)
    name = "paasd_router_request_seconds"
    lines += [f"# HELP {name} Time from a request's head to its answer's end.", f"# TYPE {name} histogram"]
    for app, each in apps.items():
        total = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), each.buckets, strict=True):
            total += count
            lines.append(f"{name}_bucket{of(app, le=bound)} {total}")
        lines += [f"{name}_sum{of(app)} {each.seconds:.3f}", f"{name}_count{of(app)} {total}"]
    return lines


def _sum(figures: list[AppFigures]) -> AppFigures:
    total = AppFigures()
    for each in figures:
        for kind, count in each.statuses.items():
            total.statuses[kind] = total.statuses.get(kind, 0) + count
        for code, count in each.codes.items():
            total.codes[code] = total.codes.get(code, 0) + count
        total.buckets = [one + other for one, other in zip(total.buckets, each.buckets, strict=True)]
        total.seconds += each.seconds
        total.bytes += each.bytes
    return total


def _family(name: str, kind: str, says: str, samples: list[tuple[str, int]]) -> list[str]:
    return [f"# HELP {name} {says}", f"# TYPE {name} {kind}", *(f"{name}{labels} {n}" for labels, n in samples)]


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
