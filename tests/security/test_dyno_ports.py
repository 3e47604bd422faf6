"""Dynos as processes share the machine's network: the port of a dyno that listens no more is nobody else's."""

import os
import shutil
import socket
import uuid
from pathlib import Path

import pytest
import uvloop

from paasd.adapters.docker_firewall import run_iptables
from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from tests.contracts.engines import eventually
from tests.paasd.adapters.conftest import bench, home, settings
from tests.paasd.services.test_boot_ports import ANSWERS, printed

__all__ = ["home", "settings"]  # fixtures
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="users of apps' own need root"),
    pytest.mark.skipif(shutil.which("iptables") is None, reason="iptables is not installed (apt-get install iptables)"),
]


def test_a_command_of_the_firewall_s_that_reads_nothing_is_no_error() -> None:
    """On the daemon's own loop. Bites: a pipe for its standard input, which `-C` has not read when it ends."""

    async def many() -> list[str | None]:
        return [await run_iptables("/bin/true") for _ in range(100)]

    assert set(uvloop.run(many())) == {None}


def answer(port: int) -> bytes:
    """What is heard at a port of this machine, as the router asks there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return client.recv(99)
    except OSError:
        return b""


@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart of the daemon"])
async def test_at_a_dyno_s_port_no_other_app_answers(home: Path, settings: ProcessSettings, restarted: bool) -> None:
    """A dyno's server has died, or its shell is about to start it again: whoever binds its port is sent its requests.
    Bites: `keep_ports` left out of `_launch` (the second: out of `close`), or without the rule's owner."""
    name = uuid.uuid4().hex[:8]
    async with ProcessEngine(name, home, settings) as engine:
        if not restarted:
            await engine.guard()
        theirs, mallory = bench(engine), bench(engine, "3f0c7a52-5f0d-4d39-9f3c-0d3f7a52eeee")
        victim = await engine.start(theirs.spec("sleep 600", port=5000))
        assert victim.told is not None
    async with ProcessEngine(name, home, settings) as engine:
        if restarted:
            await engine.guard()
        try:
            taker = await engine.start(bench(engine, mallory.app_id).spec(ANSWERS, env={"OTHERS": str(victim.told)}))
            await eventually(lambda: printed(engine, taker))
            assert answer(victim.told) == b""
            await engine.stop(taker.id, grace=0)
            own = await engine.start(
                bench(engine, theirs.app_id).spec(ANSWERS, name="web.2", env={"OTHERS": str(victim.told)})
            )
            await eventually(lambda: printed(engine, own))
            assert answer(victim.told).startswith(b"HTTP/1.1 200")
        finally:
            await engine.unguard()
