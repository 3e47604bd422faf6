"""Labels that an app's own Dockerfile sets are on its dynos' containers, too: nothing of ours is read from them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from paasd.adapters.docker_addons import DockerAddons
from paasd.domain.dyno import DynoKind
from paasd.ports import BuildSpec
from tests.contracts.engines import SLEEP, STACK, Bench, docker_bench

pytestmark = pytest.mark.docker

ADDON = "3f0c7a52-5f0d-4d39-9f3c-0d3f7a52cccc"
LABELS = f"LABEL paasd.port=none paasd.command=spoofed paasd.size=Huge paasd.addon={ADDON}"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with asyncio.timeout(120), docker_bench() as bench:
        yield bench


async def hostile(bench: Bench, folder: Path) -> str:
    """The image of an app that says more of itself than it may."""

    async def forget(_data: bytes) -> None: ...

    build_id = str(uuid.uuid4())
    name = f"paasd-test/{bench.home}:b-{build_id[:8]}"
    spec = BuildSpec(bench.app_id, build_id, name, f"FROM {STACK}\n{LABELS}\nCMD {SLEEP}\n", timeout=100.0)
    return (await bench.engine.build(folder, spec, forget)).name


async def test_no_image_s_label_keeps_anybody_s_dynos_from_being_seen(bench: Bench, tmp_path: Path) -> None:
    """Bites: `labels` without a port for what has none: of no app anything can be told while that dyno runs."""
    artifact = await hostile(bench, tmp_path)
    terminal = await bench.engine.attach(bench.spec(None, name="run.1", kind=DynoKind.ONE_OFF, artifact=artifact))
    try:
        (dyno,) = await bench.engine.dynos()
        assert (dyno.name, dyno.port, dyno.command, dyno.size) == ("run.1", None, None, "Standard-1X")
    finally:
        await terminal.close()


async def test_no_image_s_label_makes_a_dyno_an_add_on(bench: Bench, tmp_path: Path) -> None:
    """Bites: `kept` and `endings` without a look at whether it is a dyno."""
    spec = bench.spec(None, name="worker.1", artifact=await hostile(bench, tmp_path))
    async with DockerAddons(bench.home) as addons, aclosing(addons.endings()) as endings:
        assert await anext(endings) is None
        await bench.engine.start(spec)
        assert await addons.kept() == []
        told = asyncio.ensure_future(anext(endings))
        await bench.engine.stop(spec.id, grace=0)
        assert not (await asyncio.wait([told], timeout=1))[0]
        told.cancel()
        await asyncio.wait([told])
