"""Asks a dyno whether it serves: a TCP accept, or an HTTP GET answered 2xx or 3xx. Never raises for its faults."""

import asyncio
import errno
import re

from paasd.ports import REFUSED, ProbeResult

STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
PAGE_BYTES = 1024 * 1024
REASONS = {
    errno.ECONNREFUSED: REFUSED,
    errno.EHOSTUNREACH: "no route to it",
    errno.ENETUNREACH: "no route to it",
    errno.ECONNRESET: "it closed the connection without an answer",
}


class NetworkProbe:
    """Probe over the network. All in seconds: `timeout` is for one check as a whole.

    While nothing listens yet, a check tries to connect for `patience`, every `step`: the dyno does not notice, and is
    not kept waiting for the next check once it is up.
    """

    def __init__(self, timeout: float = 2.0, *, patience: float = 0.1, step: float = 0.01, answer: float = 3.0) -> None:
        self._answer_timeout = answer
        self._timeout = timeout
        self._patience = patience
        self._step = step

    async def check(
        self, address: str, port: int, path: str | None, content: str | None = None, *, timeout: float | None = None
    ) -> ProbeResult:
        """TCP accept, or HTTP 2xx/3xx at `path`; `content` has to be in the first PAGE_BYTES of what is answered."""
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                reader, writer = await self._connect(address, port)
                if path is None:
                    return ProbeResult(True)
                # To HTTP/1.0 nothing is answered in chunks, whose sizes would be within the text.
                writer.write(_request(port, "GET", path, "1.1" if content is None else "1.0"))
                await writer.drain()
                result = _judge(await reader.readline())
                if content is not None and result.healthy and not await _holds(reader, content.encode()):
                    return ProbeResult(False, f"its page does not hold {content[:60]!a}")
                return result
        except TimeoutError:
            return ProbeResult(False, "timed out")
        except OSError as error:
            return ProbeResult(False, REASONS.get(error.errno or 0, error.strerror or str(error)))
        except ValueError:
            return ProbeResult(False, "its answer is not HTTP")
        finally:
            if writer is not None:
                writer.transport.abort()  # nothing more to say, and the dyno need not wait for a polite end

    async def answers(self, address: str, port: int) -> bool:
        """Whether anything at all is answered to `HEAD /`: what listens need not be what answers.

        HEAD, as the page is of no interest, and whoever counts visits counts those that get one.
        """
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._answer_timeout):
                reader, writer = await self._connect(address, port)
                writer.write(_request(port, "HEAD", "/"))
                await writer.drain()
                return bool(await reader.read(1))
        except OSError:  # TimeoutError is one
            return False
        finally:
            if writer is not None:
                writer.transport.abort()

    async def _connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            try:
                return await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                if loop.time() + self._step >= deadline:
                    raise
            await asyncio.sleep(self._step)


async def _holds(reader: asyncio.StreamReader, content: bytes) -> bool:
    page = b""
    while len(page) < PAGE_BYTES and (more := await reader.read(PAGE_BYTES - len(page))):
        page += more
        if content in page.partition(b"\r\n\r\n")[2]:
            return True
    return False


def _request(port: int, method: str, path: str, version: str = "1.1") -> bytes:
    # The host is the one name that apps with a list of allowed hosts most likely know.
    host = f"Host: localhost:{port}\r\nUser-Agent: paasd-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    return f"{method} {path} HTTP/{version}\r\n{host}".encode()


def _judge(line: bytes) -> ProbeResult:
    if not line:
        return ProbeResult(False, REASONS[errno.ECONNRESET])
    match = STATUS_LINE.match(line)
    if match is None:
        return ProbeResult(False, "its answer is not HTTP")
    status = int(match[1])
    return ProbeResult(200 <= status < 400, "" if 200 <= status < 400 else f"answered {status}")
