"""Open-loop load at a fixed rate, in a process of its own: a slow answer never delays the next request.

`under_load` starts it beside a test or a bench; it stops when its stdin ends, so that it can't outlive who started it.
Times are time.monotonic(), which every process of a machine shares; a latency counts from when the request was due.
"""

import argparse
import asyncio
import contextlib
import random
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

CODE = re.compile(rb"\bH[0-9]{2}\b")
POOL = 32  # connections kept; used in turn, so that each is old enough to have seen several swaps
ANSWER_SECONDS = 30.0
LAST_ANSWERS_SECONDS = 35.0
BODY_BYTES = 4096
HEAD_BYTES = 64 * 1024


class Kind(StrEnum):
    """What a request is and what connection it goes over. A chunked POST is sent in two pieces."""

    GET_KEPT = "GET kept"
    GET_NEW = "GET new"
    POST_KEPT = "POST kept"
    POST_NEW = "POST new"
    POST_CHUNKED = "POST chunked"

    @property
    def new_connection(self) -> bool:
        return self in (Kind.GET_NEW, Kind.POST_NEW)


MIX = (Kind.GET_KEPT, Kind.GET_NEW, Kind.POST_KEPT, Kind.POST_NEW) * 2 + (Kind.POST_CHUNKED,)


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One request, judged. `version` is the release that answered (0: none did), `failure` is empty if it is right."""

    number: int
    kind: Kind
    due: float
    sent: float
    done: float
    version: int
    request_id: str
    failure: str

    @property
    def latency(self) -> float:
        return self.done - self.due


class Report(msgspec.Struct, frozen=True):
    """Everything one run saw. `late` is the most that the generator itself was behind, in seconds."""

    rate: float
    began: float
    ended: float
    late: float
    samples: list[Sample]

    @property
    def failed(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.failure]

    def latencies(self) -> list[float]:
        """Seconds, in rising order."""
        return sorted(sample.latency for sample in self.samples)


@dataclass(frozen=True)
class Aim:
    """Where to, for whom, and how much. `app` has to be examples/hello under that name."""

    port: int
    app: str
    rate: float = 200.0
    seconds: float = 900.0
    seed: int = 1

    @property
    def host(self) -> str:
        return f"{self.app}.localhost:{self.port}"


@dataclass
class Running:
    """A load under way; `report` is there once it was stopped."""

    process: "subprocess.Popen[bytes]"
    file: Path
    report: Report | None = None

    def stop(self) -> Report:
        """Send no more, wait for the answers due, and judge. Raises RuntimeError when the generator failed."""
        if self.report is None:
            self.process.communicate(timeout=LAST_ANSWERS_SECONDS + ANSWER_SECONDS)
            if self.process.returncode != 0:
                raise RuntimeError(f"The load generator ended with {self.process.returncode}; see its words above.")
            self.report = msgspec.json.decode(self.file.read_bytes(), type=Report)
        return self.report


@contextlib.contextmanager
def under_load(aim: Aim, directory: Path) -> Iterator[Running]:
    """Requests to the app, at the rate, for as long as the block runs (`aim.seconds` at most)."""
    file = directory / f"load-{time.monotonic_ns()}.json"
    command = [sys.executable, "-m", "bench.load", str(aim.port), aim.app, str(file)]
    command += ["--rate", str(aim.rate), "--seconds", str(aim.seconds), "--seed", str(aim.seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    try:
        yield Running(process, file)
    finally:
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=LAST_ANSWERS_SECONDS + ANSWER_SECONDS)
            process.kill()
            process.wait()


@dataclass
class Connection:
    """One connection to the router."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()

    async def ask(self, parts: list[bytes]) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of the answer; whatever cuts it short is raised."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
        while True:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ", 2)[1])
            if status >= 200:
                break
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return status, headers, await self._chunks()
        if "content-length" not in headers:
            return status, headers, await self.reader.read()
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def _chunks(self) -> bytes:
        whole = b""
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            whole += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        while (await self.reader.readuntil(b"\r\n")) != b"\r\n":
            pass
        return whole


@dataclass
class Generator:
    """Sends by the clock and judges every answer."""

    aim: Aim
    pool: deque[Connection] = field(default_factory=deque)
    samples: list[Sample] = field(default_factory=list)
    late: float = 0.0

    async def run(self, stop: asyncio.Event) -> Report:
        """Until `stop` or the aim's seconds, then until the last answer."""
        chance = random.Random(self.aim.seed)
        self.pool.extend(await asyncio.gather(*(self.connect() for _ in range(POOL))))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(self.aim.seconds * self.aim.rate)):
                due = began + number / self.aim.rate
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                if stop.is_set():
                    break
                self.late = max(self.late, time.monotonic() - due)
                group.create_task(self.one(number, due, chance.choice(MIX), chance.randint(1, BODY_BYTES)))
        for connection in self.pool:
            connection.writer.close()
        self.samples.sort(key=lambda sample: sample.number)
        return Report(self.aim.rate, began, time.monotonic(), self.late, self.samples)

    async def one(self, number: int, due: float, kind: Kind, length: int) -> None:
        """One request from its due time to its judgement."""
        request_id, sent = f"load-{self.aim.seed:06d}-{number:012d}", time.monotonic()
        version, failure, connection = 0, "", None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self.connection(kind)
                sent = time.monotonic()
                status, headers, body = await connection.ask(self.request(kind, length, request_id))
            version, failure = judge(self.aim.app, status, body, None if kind.value[0] == "G" else length)
            self.put_back(connection, kind, headers)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            failure = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if connection is not None:
                connection.writer.close()
        self.samples.append(Sample(number, kind, due, sent, time.monotonic(), version, request_id, failure))

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.aim.port, limit=HEAD_BYTES))

    async def connection(self, kind: Kind) -> Connection:
        while not kind.new_connection and self.pool:
            connection = self.pool.popleft()
            if connection.usable:
                return connection
            connection.writer.close()
        return await self.connect()

    def put_back(self, connection: Connection, kind: Kind, headers: dict[str, str]) -> None:
        if kind.new_connection or headers.get("connection", "").lower() == "close" or len(self.pool) >= POOL:
            connection.writer.close()
        else:
            self.pool.append(connection)

    def request(self, kind: Kind, length: int, request_id: str) -> list[bytes]:
        method = kind.value.partition(" ")[0]
        lines = [f"{method} / HTTP/1.1", f"Host: {self.aim.host}", f"X-Request-Id: {request_id}", "User-Agent: load"]
        if kind.new_connection:
            lines.append("Connection: close")
        if method == "GET":
            return [encode(lines)]
        body = b"x" * length
        if kind is not Kind.POST_CHUNKED:
            return [encode([*lines, f"Content-Length: {length}"]) + body]
        half = length // 2
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]) if piece]
        return [encode([*lines, "Transfer-Encoding: chunked"]) + pieces[0], b"".join([*pieces[1:], b"0\r\n\r\n"])]


def encode(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def judge(app: str, status: int, body: bytes, posted: int | None) -> tuple[int, str]:
    """(release that answered, what is wrong): 200, a whole body, from this app, and it got all that was posted."""
    if status != 200:
        code = CODE.search(body)  # Heroku's, at the end of the router's page
        named = f" {code[0].decode()}" if code is not None else ""
        return 0, f"status {status}{named}: {' '.join(body[:200].decode(errors='replace').split())}"
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        return 0, f"a body that is not the app's ({error})"
    release = str(answer.get("release", ""))
    version = int(release[1:]) if release[:1] == "v" and release[1:].isdigit() else 0
    if answer.get("app") != app or version == 0:
        return version, f"answered by {answer.get('app')!r} {release!r}"
    if posted is not None and answer.get("received") != posted:
        return version, f"{posted} bytes were sent, the app got {answer.get('received')}"
    return version, ""


async def until_told(aim: Aim) -> Report:
    """Run until stdin ends or the seconds are over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    async with asyncio.TaskGroup() as group:

        async def watch() -> None:
            await reader.read()
            stop.set()

        watching = group.create_task(watch())
        report = await Generator(aim).run(stop)
        watching.cancel()
    transport.close()
    return report


def main() -> None:
    """`python -m bench.load PORT APP REPORT`: a report as JSON, written at the end."""
    import uvloop

    parser = argparse.ArgumentParser(description="Open-loop load on examples/hello; ends with its stdin.")
    parser.add_argument("port", type=int)
    parser.add_argument("app")
    parser.add_argument("report", type=Path)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    report = uvloop.run(until_told(Aim(given.port, given.app, given.rate, given.seconds, given.seed)))
    given.report.write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
