"""`make bench-swap-router`: 100 table swaps and 100 maintenance toggles under open-loop load, on a router of its own.

What was sent after a table's acknowledgement must be answered by that table. A swap is timed from the start of its PUT
to its acknowledgement; printed beside it is the time to the first new answer, which the load's spacing blurs.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bench.load import Aim, Sample, under_load
from router.table import Route, RoutingTable, Target, encode
from tests.router.process import RouterProcess, length_of, read_head

APP = "shop"
MAINTENANCE = 0  # as a version: what answers while the app is down for maintenance
MEDIAN_GOAL, LONGEST_GOAL = 0.005, 0.100
PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Swap:
    """A table and who has to answer by it; times as the load's."""

    begun: float
    acknowledged: float
    by: int


async def main() -> None:
    """Print the figures; exit code 1 when a request failed, was answered by an old table, or a goal is missed."""
    parser = argparse.ArgumentParser(description="Swaps and maintenance toggles under load, on a router alone.")
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--workers", default="1")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paasd-") as folder:
        router = RouterProcess(Path(folder) / "router", "--workers", given.workers)
        await asyncio.to_thread(router.start)
        try:
            met = await measure(router, Path(folder), given.swaps, given.rate)
        finally:
            await asyncio.to_thread(router.stop)
    sys.exit(0 if met else 1)


async def measure(router: RouterProcess, folder: Path, count: int, rate: float) -> bool:
    """Both runs, one after the other; whether all goals are met."""
    with contextlib.ExitStack() as stack:
        ports = [await asyncio.to_thread(stack.enter_context, app_process(version)) for version in (1, 2)]
        one, two = (route_to(version, port) for version, port in enumerate(ports, 1))
        down = Route("id-shop", APP, (f"{APP}.localhost",), one.targets, maintenance=True)
        met = True
        for title, states in (
            ("swaps of the target", ((one, 1), (two, 2))),
            ("maintenance toggles", ((one, 1), (down, MAINTENANCE))),
        ):
            await publish(router, one)
            with under_load(Aim(router.port, APP, rate), folder) as load:
                await asyncio.sleep(1.0)
                swaps = [await swap(router, *states[(number + 1) % 2]) for number in range(count)]
                await asyncio.sleep(0.5)
                report = await asyncio.to_thread(load.stop)
            met &= judge(f"{count} {title}", swaps, report.samples)
    codes = set(re.findall(r" code=(H\d+)", router.log_file.read_text())) - {"H80"}
    if codes:
        print(f"the router's log has {', '.join(sorted(codes))}")
    return met and not codes


async def swap(router: RouterProcess, route: Route, by: int) -> Swap:
    """One table put in force, then a while under it."""
    begun = time.monotonic()
    acknowledged = await publish(router, route)
    await asyncio.sleep(PAUSE)
    return Swap(begun, acknowledged, by)


async def publish(router: RouterProcess, route: Route) -> float:
    """When it was acknowledged."""
    router.version += 1
    body = encode(RoutingTable(router.version, (route,)))
    reader, writer = await asyncio.open_unix_connection(str(router.directory / "control.sock"))
    writer.write(b"PUT /table HTTP/1.1\r\nHost: router\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    acknowledged = time.monotonic()
    writer.close()
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"The router refused a table: {head.splitlines()[0].decode()}")
    return acknowledged


def judge(title: str, swaps: Sequence[Swap], samples: Sequence[Sample]) -> bool:
    """Print one run's figures; whether they are as they should be."""
    answers = [(sample, answered_by(sample)) for sample in samples]
    failed = [sample for sample, by in answers if by is None]
    stale = [sample for sample, by in answers if by is not None and by not in allowed(sample, swaps)]
    took = sorted(each.acknowledged - each.begun for each in swaps)
    firsts = [first for each in swaps if (first := first_new(each, answers)) is not None]
    median, longest = statistics.median(took), took[-1]
    print(f"{title}, {len(samples)} requests: {len(failed)} failed, {len(stale)} by the old table after the new was in")
    print(f"  PUT to acknowledgement: median {median * 1000:.1f} ms, max {longest * 1000:.1f} ms")
    print(
        f"  PUT to first new answer: median {statistics.median(firsts) * 1000:.1f} ms, max {max(firsts) * 1000:.1f} ms"
    )
    for sample in [*failed, *stale][:5]:
        print(f"  {sample}")
    met = not failed and not stale and median <= MEDIAN_GOAL and longest <= LONGEST_GOAL
    print(f"  {'as it should be' if met else 'NOT as it should be'}")
    return met


def answered_by(sample: Sample) -> int | None:
    """The version that answered, MAINTENANCE for its page (503, H80), or None."""
    if not sample.failure:
        return sample.version
    return MAINTENANCE if sample.failure.startswith("status 503 H80") else None


def allowed(sample: Sample, swaps: Sequence[Swap]) -> set[int]:
    """Who may have answered: the table in force when it was sent, or one that was put in before it was done."""
    known = max(bisect_right([each.acknowledged for each in swaps], sample.sent) - 1, -1)
    begun = bisect_right([each.begun for each in swaps], sample.done) - 1
    return {swaps[number].by if number >= 0 else 1 for number in range(known, begun + 1)}


def first_new(swap: Swap, answers: Sequence[tuple[Sample, int | None]]) -> float | None:
    times = [sample.done for sample, by in answers if by == swap.by and sample.sent >= swap.begun]
    return min(times, default=swap.begun) - swap.begun if times else None


def route_to(version: int, port: int) -> Route:
    """The app's route to one release."""
    target = Target("id-shop", version, "web.1", "127.0.0.1", port)
    return Route("id-shop", APP, (f"{APP}.localhost",), (target,))


@contextlib.contextmanager
def app_process(version: int) -> Iterator[int]:
    """The port of an app in a process of its own: here its work would be taken for the router's."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_app, args=(version, theirs), daemon=True)
    process.start()
    try:
        yield int(ours.recv())
    finally:
        process.kill()
        process.join()


def _serve_app(version: int, told: Connection) -> None:
    async def serve() -> None:
        server = await app(version)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def app(version: int) -> asyncio.Server:
    """An app that answers as examples/hello does: its name, its release, and how much it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = await read_head(reader)
                received = await chunked(reader) if "chunked" in head.lower() else length_of(head)
                if "chunked" not in head.lower():
                    await reader.readexactly(received)
                body = json.dumps({"app": APP, "release": f"v{version}", "received": received}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def chunked(reader: asyncio.StreamReader) -> int:
    """Bytes in a chunked body, read to its end."""
    total = 0
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        await reader.readexactly(size + 2)
        total += size
    await reader.readuntil(b"\r\n")
    return total


if __name__ == "__main__":
    asyncio.run(main())
