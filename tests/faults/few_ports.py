"""R15: a router where this machine has 51 ports to give. `unshare --net python -m tests.faults.few_ports DIR` prints
JSON: the answers' statuses of requests in turn, which connections that are kept carry; of 90 at once, for which there
are too few ports; and once those are over.
"""

import asyncio
import collections
import json
import subprocess
import sys
from pathlib import Path

from tests.router.process import Parsed, RouterProcess, Upstream, echo, read_head, route

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Once all that come at once are there."""
    await read_head(reader)
    await asyncio.sleep(2)
    writer.write(OK)


def take_ports_away() -> None:
    """In this network namespace, which must be our own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40050")
    Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("0")


async def main(directory: Path) -> None:
    keeping, holding = await Upstream(echo()).start(), await Upstream(answer_late).start()
    router = RouterProcess(directory / "router", "--connect-timeout", "1")
    router.start()
    await router.publish(route("keeps", keeping), route("holds", holding))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)

    async def ask(host: str, count: int) -> dict[str, int]:
        """One after the other on one connection: it is the router's own ports that may run out."""
        seen: collections.Counter[str] = collections.Counter()
        for _ in range(count):
            writer.write(f"GET / HTTP/1.1\r\nHost: {host}.localhost\r\nAccept: application/json\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            got = Parsed(head)
            body = await reader.readexactly(int(got.header("content-length") or 0))
            seen[f"{got.status} {json.loads(body)['code']}" if got.status >= 500 else str(got.status)] += 1
        return dict(seen)

    async def hold(address: str) -> str:
        """One request on a connection from this address: the clients' ports must not be those that run out."""
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port, local_addr=(address, 0))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: holds.localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        )
        got = Parsed(await reader.read())
        writer.close()
        return f"{got.status} {json.loads(got.body)['code']}" if got.status >= 500 else str(got.status)

    said: dict[str, dict[str, int]] = {"kept": await ask("keeps", 400)}
    at_once = [hold(address) for address in ("127.0.0.2", "127.0.0.3") for _ in range(45)]
    said["held"] = dict(collections.Counter(await asyncio.gather(*at_once)))
    said["still"] = await ask("keeps", 50)
    writer.close()
    router.stop()
    await keeping.stop()
    await holding.stop()
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    take_ports_away()
    asyncio.run(main(Path(sys.argv[1])))
