"""Dynos as processes share the machine's network: one app's that takes the port of another's is sent nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.probe import NetworkProbe
from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.domain.dyno import Dyno
from paasd.domain.errors import DynoUnhealthy
from tests.contracts.engines import SERVE, eventually
from tests.paasd.adapters.conftest import bench, home, settings
from tests.paasd.services.world import World

__all__ = ["home", "settings"]  # fixtures
ANSWERS = """exec python3 -uc '
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
print("ready")
while True:
    client, _ = server.accept()
    client.recv(999)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    client.close()
' $OTHERS"""


async def printed(engine: ProcessEngine, dyno: Dyno) -> bool:
    async for _, _text in engine.logs(dyno.id):
        return True
    return False


async def test_a_dyno_whose_port_another_s_has_is_not_up(home: Path, settings: ProcessSettings, world: World) -> None:
    """It takes it before the one that was told to, and answers its checks. Bites: without `_is_its_own` in
    `_probe_until_steady` the router sends it what is for the other app."""
    release = await world.release(await world.deployed(), 2)
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        theirs, ours = bench(engine), bench(engine, "3f0c7a52-5f0d-4d39-9f3c-0d3f7a52eeee")
        slow = await engine.start(theirs.spec("sleep 600", port=5000))
        assert slow.told is not None
        mallory = await engine.start(ours.spec(ANSWERS, name="worker.1", env={"OTHERS": str(slow.told)}))
        await eventually(lambda: printed(engine, mallory))
        usual = world.releases._hands.boot
        boot = replace(usual, engine=engine, probe=NetworkProbe(), rules=replace(usual.rules, timeout=1.0))
        with pytest.raises(DynoUnhealthy, match=r"web\.1 failed to bind to \$PORT"):
            await boot.await_healthy(release, [slow])
        await boot.await_healthy(release, [await engine.start(theirs.spec(SERVE, port=5000))])
