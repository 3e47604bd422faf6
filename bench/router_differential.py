"""`make bench-hazards`: hazardous requests and answers, byte by byte, through our router, nginx and HAProxy.

A difference is no verdict: it shows where proxies read the same bytes differently, which is where smuggling lives.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from bench.router_contenders import Contender, free_port, start_all
from tests.router.bad_answers import ANSWERED
from tests.router.hazards import CARRIED, REFUSED

PLAIN = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


class Recorder:
    """An app that notes every request line it is sent and answers at once, without reading bodies."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answer = PLAIN
        self.closes = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection's first request."""
        try:
            async with asyncio.timeout(2):
                head = await reader.readuntil(b"\r\n\r\n")
                self.lines.append(head.split(b"\r\n")[0].decode("latin-1")[:40])
                writer.write(self.answer)
                await writer.drain()
                if self.closes:
                    writer.write_eof()
                await reader.read(1 << 20)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()


async def _compare(running: list[Contender], recorder: Recorder) -> None:
    requests = {name: (each.data, PLAIN, True) for table in (REFUSED, CARRIED) for name, each in table.items()}
    answers = {name: (each.request, each.app, each.closes) for name, each in ANSWERED.items()}
    for title, cases in (("requests", requests), ("answers", answers)):
        names = [contender.name for contender in running]
        print(f"{title:36}" + "".join(f"{name:>26}" for name in names))
        alike = 0
        for name, (data, recorder.answer, recorder.closes) in cases.items():
            said = [await _said(contender.port, data, recorder) for contender in running]
            if len(set(said)) == 1:
                alike += 1
            else:
                print(f"{name[:35]:36}" + "".join(f"{each:>26}" for each in said))
        print(f"{alike} of {len(cases)} read alike by {', '.join(names)}\n")


async def _said(port: int, data: bytes, recorder: Recorder) -> str:
    recorder.lines.clear()
    answer = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        async with asyncio.timeout(1.0):
            while chunk := await reader.read(1 << 16):
                answer += chunk
    except (OSError, TimeoutError):
        pass
    writer.close()
    statuses = [line.split(b" ")[1].decode() for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    canary = " canary" if b"canary" in answer.lower() else ""
    return f"{'+'.join(statuses) or 'nothing'}{canary}, app saw {len(recorder.lines)}"


async def _main() -> int:
    recorder = Recorder()
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", port := free_port())
    running: list[Contender] = []
    with tempfile.TemporaryDirectory(prefix="differential-") as name:
        Path(name).chmod(0o755)  # noqa: ASYNC240
        try:
            for sentence in await asyncio.to_thread(
                start_all, Path(name), port, ["router", "nginx", "haproxy"], running
            ):
                print(sentence)
            await _compare(running, recorder)
        finally:
            for contender in running:
                contender.stop()
            server.close()
            if serving := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(serving, timeout=3)  # each hears of its client's end
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
