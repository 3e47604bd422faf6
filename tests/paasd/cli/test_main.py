"""How a run ends: exit codes, interrupts, closed pipes; and how soon it starts."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from aiohttp import web

from .conftest import PAAS, Run
from .wire import DEADLINE, Wire


def test_wrong_usage_is_2(paas: Run) -> None:
    for words in (["releases", "--nonsense"], ["config:get"], ["releases", "-n", "many"]):
        ran = paas(*words)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "›   Usage: paas " in ran.stderr


def test_a_reader_that_has_enough(wire: Wire, directory: Path, environment: dict[str, str]) -> None:
    wire.reply("POST", "/apps/shop/log-sessions", {"logplex_url": wire.url + "/logs"}, status=201)
    wire.text("/logs", b"line\n" * 200_000)
    command = f"{PAAS} logs -a shop | head -1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", command], cwd=directory, env=environment, capture_output=True, text=True, timeout=DEADLINE
    )
    assert (ran.stdout, ran.stderr) == ("line\n0\n", "")


def test_an_interrupt_ends_without_a_traceback(wire: Wire, directory: Path, environment: dict[str, str]) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(b"data: line\n\n")
        await asyncio.sleep(DEADLINE)
        return reply

    wire.reply("POST", "/apps/shop/log-sessions", {"logplex_url": wire.url + "/logs"}, status=201)
    wire.handle("GET", "/logs", endless)
    process = subprocess.Popen(
        [str(PAAS), "logs", "--tail", "-a", "shop"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "line\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert errors.strip() == ""


def test_heavy_packages_are_imported_on_first_use() -> None:
    program = "import sys, paasd.cli.__main__; print(sorted({'rich', 'urllib3', 'aiohttp'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
