"""`make suites ARGS="--h1spec DIR --smuggler DIR --wstest PYTHON2"`: other people's suites through the router.

None of them is part of this project, and none can be installed from a package index alone: name where they are. Each
runs against a router process of its own, before an app that records what it is sent.
"""

import argparse
import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from aiohttp import WSMsgType, web

from bench.page import title, verdict
from router.table import Route, Target
from tests.router.process import RouterProcess, Upstream, length_of, read_head
from tests.router.recorder import Recorder

H1SPEC_CASES = 33
AUTOBAHN_CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*"]
CANARY = re.compile(rb"canary|smuggl|/admin", re.IGNORECASE)
CRLF = b"\r\n"
BEHAVIOURS = ("behavior", "behaviorClose")


def route(port: int) -> Route:
    """The suites ask for these hosts."""
    hosts = ("example.com", "localhost", "127.0.0.1")
    return Route("id-suite", "suite", hosts, (Target("id-suite", 1, "web.1", "127.0.0.1", port),))


async def output_of(*command: str, cwd: Path | None = None) -> str:
    """What a suite printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return (await process.communicate())[0].decode(errors="replace")


async def h1spec(router: RouterProcess, checkout: Path, deno: str) -> bool:
    """Every case of it."""
    upstream = await Upstream(echo).start()
    await router.publish(route(upstream.port))
    said = await output_of(deno, "run", "--allow-net", str(checkout / "http_test.ts"), "127.0.0.1", str(router.port))
    await upstream.stop()
    found = re.search(r"(\d+) out of (\d+)", said)
    passed, of = (int(found[1]), int(found[2])) if found else (0, 0)
    return verdict(passed == of == H1SPEC_CASES, f"h1spec: {passed} of {of} ({H1SPEC_CASES} wanted)")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head, body = await read_head(reader), b""
        if "transfer-encoding: chunked" in head.lower():
            while size := int((await reader.readline()).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(length_of(head))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()


async def smuggler(router: RouterProcess, checkout: Path) -> bool:
    """Its exhaustive list: nothing flagged, and no request of what it hides in another's body."""
    recorder = Recorder()
    upstream = await Upstream(recorder).start()
    await router.publish(route(upstream.port))
    url = f"http://127.0.0.1:{router.port}/"
    command = (sys.executable, "smuggler.py", "-u", url, "-t", "2", "--no-color", "-c", "exhaustive.py")
    said = await output_of(*command, cwd=checkout)
    await upstream.stop()
    checks = len(re.findall(r"\bOK\b", said))  # one a mutation, of its two ways
    flagged = len(re.findall(r"CRITICAL|Potential \S+ Issue", said))
    seen = [head for head in recorder.heads if CANARY.search(head)]
    for head in recorder.heads:
        print(f"  carried: {head.partition(CRLF)[0].decode(errors='replace')}")
    carried = f"{len(recorder.heads)} carried, {len(seen)} of them a canary"
    words = f"smuggler: {checks} mutations, {flagged} flagged, {carried}"
    return verdict(checks > 600 and not flagged and not seen, words)


async def autobahn(router: RouterProcess, python2: str, directory: Path, cases: list[str]) -> bool:
    """Each case's verdict and close, as without the router."""
    app = web.Application()
    app.router.add_get("/", echo_websocket)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = int(runner.addresses[0][1])
    await router.publish(route(port))
    servers = [
        {"agent": name, "url": f"ws://127.0.0.1:{at}"} for name, at in (("direct", port), ("router", router.port))
    ]
    spec = {"outdir": str(directory / "report"), "servers": servers, "cases": cases}
    (directory / "spec.json").write_text(json.dumps({**spec, "exclude-cases": [], "exclude-agent-cases": {}}))
    arguments = ["wstest", "-m", "fuzzingclient", "-s", str(directory / "spec.json")]
    words = f"import sys; from autobahntestsuite.wstest import run; sys.argv = {arguments!r}; run()"
    said = await output_of(python2, "-c", words)
    await runner.cleanup()
    report = directory / "report" / "index.json"
    if not report.exists():
        return verdict(False, f"Autobahn: it did not run: {said[-200:]}")
    found = json.loads(report.read_text())
    direct, through = found["direct"], found["router"]
    differ = [case for case in direct if any(direct[case][b] != through.get(case, {}).get(b) for b in BEHAVIOURS)]
    counts = ", ".join(
        f"{count} {name}" for name, count in Counter(c["behavior"] for c in direct.values()).most_common()
    )
    return verdict(not differ, f"Autobahn: {len(direct)} cases ({counts}), differ: {', '.join(differ) or 'none'}")


async def echo_websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=0, compress=True)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def main() -> int:
    parser = argparse.ArgumentParser(prog="make suites")
    parser.add_argument("--h1spec", type=Path, metavar="DIR", help="a checkout of h1spec")
    parser.add_argument("--deno", default="deno", help="what runs it (deno)")
    parser.add_argument("--smuggler", type=Path, metavar="DIR", help="a checkout of smuggler")
    parser.add_argument("--wstest", metavar="PYTHON2", help="a Python 2.7 that has autobahntestsuite")
    parser.add_argument("--cases", nargs="+", metavar="CASE", default=AUTOBAHN_CASES, help="Autobahn's (all: an hour)")
    given = parser.parse_args()
    if not (given.h1spec or given.smuggler or given.wstest):
        parser.error("name at least one suite: --h1spec DIR, --smuggler DIR, --wstest PYTHON2")
    title("Outside suites, through the router")
    met = []
    directory = Path(tempfile.mkdtemp(prefix="paasd-"))
    router = RouterProcess(directory / "router")
    router.start()
    try:
        if given.h1spec:
            met.append(await h1spec(router, given.h1spec, given.deno))
        if given.smuggler:
            met.append(await smuggler(router, given.smuggler))
        if given.wstest:
            met.append(await autobahn(router, given.wstest, directory, given.cases))
    finally:
        router.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
