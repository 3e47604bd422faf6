"""`make bench-router`: our router, its access log on, against nginx, HAProxy, Caddy and a naive proxy.

Interleaved rounds, medians, ratios: only the ratios mean anything on a machine that does other things too.
"""

import argparse
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from bench.router_contenders import (
    LOAD_CORE,
    Contender,
    free_port,
    lane_hits,
    publish,
    spawn,
    start_all,
    wait_for,
)
from bench.router_load import (
    Rate,
    holding_websockets,
    idle_memory,
    latencies,
    median,
    percentile,
    saturate,
    settle,
    write_upstream,
)  # fmt: skip

Figures = dict[str, dict[str, float]]


def main() -> int:
    """Run what was asked for; exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=[], help="small large rate post post-large memory apps")
    parser.add_argument("--proxies", nargs="*", default=[], help="router nginx haproxy caddy naive")
    parser.add_argument("--own-network", action="store_true", help="in a network namespace without netfilter rules")
    given = parser.parse_args()
    if given.own_network:
        _in_own_network([each for each in sys.argv[1:] if each != "--own-network"])
    for tool in ("wrk", "nginx", "taskset"):
        if shutil.which(tool) is None:
            print(f"This needs {tool}: apt-get install wrk nginx util-linux.")
            return 2
    with tempfile.TemporaryDirectory(prefix="bench-router-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        upstream = free_port()
        app = spawn(["nginx", "-c", str(write_upstream(folder / "app", upstream))], LOAD_CORE)
        running: list[Contender] = []
        try:
            wait_for(upstream)
            missing = start_all(folder, upstream, given.proxies, running)
            print(*missing, sep="\n", end="\n" if missing else "")
            return _run(running, upstream, given.rounds, given.seconds, given.only)
        finally:
            for contender in running:
                contender.stop()
            app.terminate()
            app.wait()


def _in_own_network(arguments: list[str]) -> NoReturn:
    """Begin again where nothing but our own loopback is: an engine's netfilter rules cost each packet of all contenders
    alike, and so blur what the proxies themselves cost. Needs root."""
    again = [sys.executable, "-m", "bench.router", *arguments]
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *again])


def _run(running: list[Contender], upstream: int, rounds: int, seconds: float, only: list[str]) -> int:
    for contender in running:
        settle(contender)
    goals: list[tuple[str, float, float, bool]] = []

    def wanted(name: str) -> bool:
        return not only or name in only

    if wanted("small"):
        got = _rates("GET 1 KB, 64 connections", running, rounds, lambda c: saturate(c, "/small", 64, seconds))
        goals += _goal(got, "cpu", "1 KB CPU / nginx", "nginx", 1.5) + _goal(
            got, "cpu", "1 KB CPU / naive", "naive", 1 / 6
        )
        goals += _goal(got, "requests", "1 KB req/s / nginx", "nginx", 0.65, least=True)
        goals += _goal(got, "requests", "1 KB req/s / Caddy", "caddy", 3.0, least=True)
    if wanted("large"):
        got = _rates("GET 1 MB, 16 connections", running, rounds, lambda c: saturate(c, "/large", 16, seconds))
        goals += _goal(got, "cpu", "1 MB CPU / nginx", "nginx", 1.2)
    if wanted("rate"):
        got = _latencies(running, rounds, seconds)
        goals += _goal(got, "p50", "p50 at 500 req/s / nginx", "nginx", 1.15)
    if wanted("post"):
        _rates("POST 1 KB, 64 connections", running, rounds, lambda c: saturate(c, "/post", 64, seconds, 1024))
    if wanted("post-large"):
        _rates("POST 1 MB, 16 connections", running, rounds, lambda c: saturate(c, "/post", 16, seconds, 1 << 20))
    if wanted("apps"):
        goals += _apps(running, upstream, rounds, seconds)
    if wanted("memory"):
        goals += _memory(running, upstream)
    _print_lane_hits(running)
    print("\nGoals")
    for text, value, limit, met in goals:
        print(f"  {'met   ' if met else 'MISSED'} {text}: {value:.3f} (goal {limit:.3f})")
    return 0 if all(goal[3] for goal in goals) else 1


def _rates(title: str, running: list[Contender], rounds: int, measure: Callable[[Contender], Rate]) -> Figures:
    taken: dict[str, list[Rate]] = defaultdict(list)
    for _ in range(rounds):
        for contender in running:
            taken[contender.name].append(measure(contender))
    got = {
        name: {
            "requests": median([rate.requests for rate in rates]),
            "cpu": median([rate.cpu for rate in rates]),
            "least": min(rate.cpu for rate in rates),
            "failed": float(sum(rate.failed for rate in rates)),
        }
        for name, rates in taken.items()
    }
    print(f"\n{title} ({rounds} rounds)\n  proxy     req/s   / nginx  CPU us/req (least)   / nginx  failed")
    base = got.get("nginx")
    for name, each in got.items():
        ratios = (each["requests"] / base["requests"], each["cpu"] / base["cpu"]) if base else (0.0, 0.0)
        print(
            f"  {name:8} {each['requests']:7.0f}   {ratios[0]:6.2f}  {each['cpu']:9.1f} ({each['least']:6.1f})"
            f"   {ratios[1]:6.2f}  {each['failed']:.0f}"
        )
    sys.stdout.flush()
    return got


def _latencies(running: list[Contender], rounds: int, seconds: float) -> Figures:
    taken: dict[str, list[list[float]]] = defaultdict(list)
    for _ in range(rounds):
        for contender in running:
            taken[contender.name].append(latencies(contender, "/small", 500, max(1.0, seconds)))
    print(f"\n500 req/s, open loop ({rounds} rounds)\n  proxy     p50 us   p99 us")
    got: Figures = {}
    for name, runs in taken.items():
        got[name] = {
            "p50": median([percentile(run, 0.5) for run in runs]) * 1e6,
            "p99": median([percentile(run, 0.99) for run in runs]) * 1e6,
        }
        print(f"  {name:8} {got[name]['p50']:7.0f}  {got[name]['p99']:7.0f}")
    sys.stdout.flush()
    return got


def _apps(running: list[Contender], upstream: int, rounds: int, seconds: float) -> list[tuple[str, float, float, bool]]:
    ours = next((contender for contender in running if contender.name == "router"), None)
    if ours is None:
        return []
    one, many = [], []
    for _ in range(rounds * 2):
        publish(ours, upstream, 1)
        one.append(saturate(ours, "/small", 64, seconds).cpu)
        publish(ours, upstream, 1000)
        many.append(saturate(ours, "/small", 64, seconds).cpu)
    publish(ours, upstream, 1)
    ratio = median([b / a for a, b in zip(one, many, strict=True)])
    print(f"\n1,000 apps in the table: {median(many):.1f} us/req, one: {median(one):.1f}")
    return [("1,000 apps / one app, CPU", ratio, 1.03, ratio <= 1.03)]


def _memory(running: list[Contender], upstream: int) -> list[tuple[str, float, float, bool]]:
    """Our router is a new one for each: what an earlier load left free in its heap would be taken for nothing."""
    goals: list[tuple[str, float, float, bool]] = []
    print("\nMB for 1,000 idle connections: keep-alive")
    for contender in running:
        with _new(contender, upstream) as measured:
            grown = idle_memory(measured, 1000, websockets=False, path="/small")
        print(f"  {contender.name:8} {grown:6.1f}")
        if contender.name == "router":
            goals.append(("MB per 1,000 idle keep-alive", grown, 8.0, grown <= 8.0))
    ours = next((contender for contender in running if contender.name == "router"), None)
    if ours is not None:
        port = free_port()
        holder = multiprocessing.get_context("spawn").Process(target=holding_websockets, args=(port,), daemon=True)
        holder.start()
        wait_for(port)
        with _new(ours, port) as measured:
            grown = idle_memory(measured, 1000, websockets=True, path="/")
        holder.kill()
        holder.join()
        print(f"websockets\n  router   {grown:6.1f}")
        goals.append(("MB per 1,000 idle websockets", grown, 5.0, grown <= 5.0))
    sys.stdout.flush()
    return goals


@contextlib.contextmanager
def _new(contender: Contender, upstream: int) -> Iterator[Contender]:
    """The contender, or in our router's place a new one."""
    if contender.name != "router":
        yield contender
        return
    started: list[Contender] = []
    folder = contender.folder / f"new-{upstream}"
    folder.mkdir(mode=0o755)
    try:
        start_all(folder, upstream, ["router"], started)
        yield started[0]
    finally:
        for each in started:
            each.stop()


def _print_lane_hits(running: list[Contender]) -> None:
    """How many of all the GET requests so far took the fast lane: what is measured should be what is meant."""
    for contender in running:
        if contender.name == "router":
            hits, requests = lane_hits(contender)
            print(f"\nfast lane: {hits:.0f} of {requests:.0f} requests ({hits / max(requests, 1):.1%})")


def _goal(
    got: Figures, key: str, text: str, other: str, limit: float, *, least: bool = False
) -> list[tuple[str, float, float, bool]]:
    if other not in got or "router" not in got:
        return []
    ratio = got["router"][key] / got[other][key]
    return [(text, ratio, limit, ratio >= limit if least else ratio <= limit)]


if __name__ == "__main__":
    sys.exit(main())
