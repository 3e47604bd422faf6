"""An app for R04: `python -m tests.faults.recording_app FILE` prints its port, answers after a moment, and writes down
each POST it is given (its X-Id) when its head is there.
"""

import asyncio
import random
import sys
from pathlib import Path

from tests.router.process import length_of, read_head


async def main(file: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await read_head(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            if head.startswith("POST"):
                name = next(line for line in head.split("\r\n") if line.lower().startswith("x-id: "))
                with file.open("a") as out:
                    out.write(name.partition(": ")[2] + "\n")
            await reader.readexactly(length_of(head))
            await asyncio.sleep(random.uniform(0.05, 0.2))
            last = random.random() < 0.5  # so that requests meet new connections as well as kept ones
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%b\r\nok" % (b"Connection: close\r\n" * last))
            if last:
                writer.close()
                return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
