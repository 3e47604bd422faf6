"""Load at a fixed rate over many apps, in a process of its own; `+app` and `-app` on its stdin say which."""

import argparse
import asyncio
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from bench.load import BODY_BYTES, LAST_ANSWERS_SECONDS, MIX, Aim, Generator, Sample

ROOT = Path(__file__).parent.parent.parent.parent


class Traffic(msgspec.Struct, frozen=True):
    """All requests of a run by their apps; `late` is the most, in seconds, that one was sent after it was due."""

    late: float
    samples: dict[str, list[Sample]]


class Driver:
    """Draws an app and a kind for each tick of the clock: an answer that is slow delays none of the others."""

    def __init__(self, port: int, rate: float, seed: int) -> None:
        self._port = port
        self._rate = rate
        self._chance = random.Random(seed)
        self._apps: dict[str, Generator] = {}
        self._aims: list[str] = []
        self._late = 0.0

    def told(self, line: str) -> None:
        """`+app`: requests to it too from now on; `-app`: none any more."""
        sign, app = line[:1], line[1:].strip()
        if sign == "+":
            # Each app numbers its requests from its own start, so that the ids in the router's log are unique.
            self._apps.setdefault(app, Generator(Aim(self._port, app, seed=len(self._apps))))
            self._aims.append(app)
        elif sign == "-" and app in self._aims:
            self._aims.remove(app)
            while self._apps[app].pool:
                self._apps[app].pool.popleft().writer.close()

    async def run(self, stop: asyncio.Event) -> Traffic:
        """Until `stop`, then until the last answer."""
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                due = began + number / self._rate
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                number += 1
                if not self._aims:
                    continue
                self._late = max(self._late, time.monotonic() - due)
                generator = self._apps[self._chance.choice(self._aims)]
                kind, length = self._chance.choice(MIX), self._chance.randint(1, BODY_BYTES)
                group.create_task(generator.one(number, due, kind, length))
        return Traffic(self._late, {app: generator.samples for app, generator in self._apps.items()})


class Load:
    """The process, as the soak holds it."""

    def __init__(self, port: int, rate: float, seed: int, file: Path) -> None:
        self._file = file
        command = [sys.executable, "-m", "tests.faults.soak.load", str(port), str(rate), str(seed), str(file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, text=True)
        self._lock = threading.Lock()

    def add(self, app: str) -> None:
        self._tell(f"+{app}")

    def leave(self, app: str) -> None:
        self._tell(f"-{app}")

    def _tell(self, line: str) -> None:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def stop(self) -> Traffic:
        """Send no more, wait for the answers due."""
        self._process.communicate(timeout=LAST_ANSWERS_SECONDS * 2)
        if self._process.returncode != 0:
            raise RuntimeError(f"The load generator ended with {self._process.returncode}; see its words above.")
        return msgspec.json.decode(self._file.read_bytes(), type=Traffic)

    def abandon(self) -> None:
        """Whatever became of the run."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


async def until_told(driver: Driver) -> Traffic:
    """Lines of stdin to the driver, until there are no more."""
    stop, reader = asyncio.Event(), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)

    async def listen() -> None:
        while line := await reader.readline():
            driver.told(line.decode())
        stop.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        traffic = await driver.run(stop)
    transport.close()
    return traffic


def main() -> None:
    """`python -m tests.faults.soak.load PORT RATE SEED FILE`."""
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    traffic = uvloop.run(until_told(Driver(given.port, given.rate, given.seed)))
    given.file.write_bytes(msgspec.json.encode(traffic))


if __name__ == "__main__":
    main()
