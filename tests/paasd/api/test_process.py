"""What the daemon uses, over the wire: figures that follow what is really held."""

import asyncio
import os

from tests.paasd.api.world import World


async def test_what_is_held_is_counted(world: World) -> None:
    """Bites: with `tasks` or `descriptors` a constant."""
    before = await world.get("/paasd/process")
    assert before["pid"] == os.getpid()
    assert before["memory_bytes"] > 10_000_000
    assert before["threads"] >= 1
    pipes = [os.pipe() for _ in range(5)]
    waiting = [asyncio.create_task(asyncio.sleep(60)) for _ in range(7)]
    try:
        after = await world.get("/paasd/process")
        assert after["descriptors"] - before["descriptors"] == 10
        assert after["tasks"] - before["tasks"] == 7
    finally:
        for task in waiting:
            task.cancel()
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
