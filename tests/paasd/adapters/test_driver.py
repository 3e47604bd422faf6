"""Connections of the driver end once, however often whoever uses them is cancelled."""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from paasd.adapters.database import Database

SECONDS = 20.0


async def work(database: Database, chance: random.Random) -> None:
    while True:
        if chance.random() < 0.5:
            async with database.read() as connection:
                await connection.execute(text("SELECT count(*) FROM t"))
        else:
            async with database.write() as connection:
                await connection.execute(text("INSERT INTO t VALUES (1)"))


async def cut_off(path: Path, chance: random.Random) -> int:
    """Cancel work at random moments, up to three times, and then what it left behind; how much of it never ends."""
    database = Database(path)
    tasks = [asyncio.create_task(work(database, chance)) for _ in range(chance.choice((1, 3)))]
    await asyncio.sleep(chance.random() * 0.01)
    for _ in range(chance.choice((1, 2, 3))):
        for task in tasks:
            task.cancel()
        for _ in range(chance.choice((0, 1, 2, 3, 5, 8))):
            await asyncio.sleep(0)
    async with asyncio.timeout(SECONDS):
        await asyncio.wait(tasks)
        await database.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for behind in left:  # as a loop that ends does, and waits for it without a limit
        behind.cancel()
    return len((await asyncio.wait(left, timeout=SECONDS))[1]) if left else 0


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_cancelled_comes_to_its_end(tmp_path: Path, seed: int) -> None:
    """Or a daemon that is told to stop would not. Bites: let `stop` of the driver's connection be aiosqlite's own."""
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    chance = random.Random(seed)
    for _ in range(25):
        with asyncio.Runner() as runner:
            assert runner.run(cut_off(path, chance)) == 0
