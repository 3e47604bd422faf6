"""Many small dialogues with one router at once, each with an app, a host name and a client address of its own.

So what the app was sent, what the client got and what the log says of it are known for each, and all together take a
second. A trial's bytes are for shop.localhost; they are sent for another name that is as long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.router.process import RouterProcess, Upstream, route
from tests.router.recorder import Recorder, read_answers

FIRST = b"GET /first HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
_AT_ONCE = 24
_PIECES = 7
_PATIENCE = 20.0

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Way = Callable[[Reader, Writer, bytes, bytes], Awaitable[bytes]]  # of these bytes, for this host; the answers


@dataclass
class Trial:
    """One dialogue: what to send, and in the end what came of it. `logged` is without the lines of FIRST and LAST."""

    data: bytes
    app: Recorder = field(default_factory=Recorder)
    host: bytes = b""
    answers: bytes = b""
    logged: list[str] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def carried(self) -> bytes:
        """Every byte the app was sent but for FIRST's."""
        return b"".join(bytes(raw)[_length_of_first(bytes(raw)) :] for raw in self.app.connections)

    def as_sent(self, data: bytes) -> bytes:
        """What bytes for shop.localhost became."""
        return _for(self.host, data)

    @property
    def heads(self) -> list[bytes]:
        """The heads the app was sent but for FIRST's."""
        return [head for head in self.app.heads if not head.startswith(b"GET /first ")]


def _length_of_first(raw: bytes) -> int:
    return raw.index(b"\r\n\r\n") + 4 if raw.startswith(b"GET /first ") and b"\r\n\r\n" in raw else 0


async def whole(reader: Reader, writer: Writer, data: bytes, _: bytes) -> bytes:
    """All at once."""
    writer.write(data)
    return await reader.read()


async def in_pieces(reader: Reader, writer: Writer, data: bytes, _: bytes) -> bytes:
    """In seven reads of the router's."""
    step = max(1, len(data) // _PIECES)
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        await asyncio.sleep(0.002)
    return await reader.read()


async def kept(reader: Reader, writer: Writer, data: bytes, host: bytes) -> bytes:
    """On a connection that has had an answer: where the fast lane is open."""
    return (await dialogue(reader, writer, [_for(host, FIRST), data]))[1]


async def behind(reader: Reader, writer: Writer, data: bytes, host: bytes) -> bytes:
    """In one piece with the request before it, which may be answered or not."""
    writer.write(_for(host, FIRST) + data)
    answers = await reader.read()
    return answers.partition(b"\r\n\r\nfirst")[2] if b"\r\n\r\nfirst" in answers else answers


async def alone(reader: Reader, writer: Writer, data: bytes, host: bytes) -> bytes:
    """One request, and when it is answered LAST, where the connection is still there for it."""
    return b"".join(await dialogue(reader, writer, [data, _for(host, LAST)]))


async def alone_and_kept(reader: Reader, writer: Writer, data: bytes, host: bytes) -> bytes:
    """The same on a connection that has had an answer."""
    return b"".join((await dialogue(reader, writer, [_for(host, FIRST), data, _for(host, LAST)]))[1:])


WAYS: dict[str, Way] = {"whole": whole, "in pieces": in_pieces, "on a kept connection": kept, "behind another": behind}
WAYS_ALONE: dict[str, Way] = {"on a fresh connection": alone, "on a kept connection": alone_and_kept}


async def dialogue(reader: Reader, writer: Writer, requests: list[bytes]) -> list[bytes]:
    """The bytes that answer each; the last one's to the end of the connection, and nothing is sent after an end."""
    answers: list[bytes] = []
    for request in requests:
        got, ended = b"", reader.at_eof() or (bool(answers) and b"\r\nconnection: close\r\n" in answers[-1].lower())
        if not ended:
            writer.write(request)
        while not ended and not (request is not requests[-1] and _is_answer(got, request)):
            data = await reader.read(1 << 20)
            got, ended = got + data, not data
        answers.append(got)
    return answers


def _is_answer(got: bytes, request: bytes) -> bool:
    """Whether that is a whole final answer, with nothing behind it."""
    try:
        answers = read_answers(got, [request.split(b" ")[0].decode()])
    except Exception:  # not yet: whatever the reader says of half an answer
        return False
    return bool(answers) and answers[-1].whole and answers[-1].status >= 200


def _for(host: bytes, data: bytes) -> bytes:
    return data.replace(b"shop.localhost", host)


async def run(router: RouterProcess, trials: Mapping[str, Trial], way: Way) -> None:
    """Hold all of them, each in this way; what becomes of one is in it."""
    upstreams = [await Upstream(trial.app).start() for trial in trials.values()]
    names = [f"{number:04}" for number in range(len(trials))]
    for name, trial in zip(names, trials.values(), strict=True):
        trial.host = f"{name}.localhost".encode()
    limit = asyncio.Semaphore(_AT_ONCE)
    try:
        await router.publish(*(route(name, upstream) for name, upstream in zip(names, upstreams, strict=True)))
        await asyncio.gather(*(_hold(router, n, trial, way, limit) for n, trial in enumerate(trials.values())))
        await _attribute(router, list(trials.values()))
    finally:
        for upstream in upstreams:
            await upstream.stop()


async def _hold(router: RouterProcess, number: int, trial: Trial, way: Way, limit: asyncio.Semaphore) -> None:
    async with limit:
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port, local_addr=(_address(number), 0))
        try:
            async with asyncio.timeout(_PATIENCE):
                trial.answers = await way(reader, writer, _for(trial.host, trial.data), trial.host)
        except Exception as error:  # told by the test whose trial it is
            trial.failure = error
        finally:
            writer.close()


def _address(number: int) -> str:
    return f"127.1.{number >> 8}.{number & 255}"


async def _attribute(router: RouterProcess, trials: list[Trial]) -> None:
    """Give each its log lines, known by the client's address, once all are written."""
    end = f"/end-{router.version}"
    await router.get("nowhere.localhost", end)
    await router.log_lines(f'path="{end}"')
    lines = await router.log_lines("")
    for number, trial in enumerate(trials):
        own = [line for line in lines if f'{_address(number)}" dyno=' in line]
        trial.logged = [line for line in own if 'path="/first"' not in line and 'path="/last"' not in line]
