"""Folders that apps fill as they like, and while they are looked at."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.adapters.process_slugs import tree_key, tree_size
from paasd.adapters.trees import DEEPEST, remove_tree
from paasd.domain.errors import BuildFailed
from tests.contracts.engines import eventually
from tests.paasd.adapters.conftest import bench
from tests.paasd.services.test_boot_ports import printed

DIGS = """exec python3 -uc '
import os, time
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
print("ready")
time.sleep(600)
'"""
RACES = """
import os, sys, threading
from pathlib import Path
from paasd.adapters.process_slugs import tree_key
folder = Path(sys.argv[1])
def swap():
    for number in range(40_000):
        os.mkfifo(folder.parent / "fifo") if number % 2 else (folder.parent / "fifo").touch()
        os.replace(folder.parent / "fifo", folder / "file")
racing = threading.Thread(target=swap, daemon=True)
racing.start()
while racing.is_alive():
    tree_key(folder)
print("went on")
"""


def dig(folder: Path, levels: int) -> None:
    """That many folders in folders, with a file in the last."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


async def test_a_dyno_s_folders_in_folders_keep_no_daemon_from_starting(home: Path, settings: ProcessSettings) -> None:
    """Python removes them by recursion, which ends at some hundred. Bites: `shutil.rmtree` in the place of
    `remove_tree`: the dyno can't be stopped, and no daemon starts that finds what is left of it."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        dyno = await engine.start(bench(engine).spec(DIGS))
        await eventually(lambda: printed(engine, dyno))
        await engine.stop(dyno.id, grace=0)
        assert await asyncio.to_thread(os.listdir, home / "process" / "dynos") == []
        (left := home / "process/dynos/.gone-of-a-killed-daemon").mkdir()
        await asyncio.to_thread(dig, left, 3000)
    async with ProcessEngine("7e57ab1e", home, settings):
        assert not left.exists()


def test_what_is_too_deep_is_said_of_a_build_and_left_out_of_a_size(tmp_path: Path) -> None:
    """Bites: without DEEPEST the walk takes Python's stack, or a descriptor of the daemon's for each folder."""
    dig(tmp_path, DEEPEST)
    key = tree_key(tmp_path)
    assert tree_key(tmp_path) == key
    dig(tmp_path / "d" / "d", 0)
    (other := tmp_path / "other").mkdir()
    dig(other, 3000)
    with pytest.raises(BuildFailed, match=f"more than {DEEPEST} deep"):
        tree_key(tmp_path)
    assert tree_size(tmp_path) == 0
    remove_tree(other)
    assert not other.exists()
    remove_tree(other)


def test_a_file_that_becomes_a_fifo_holds_nobody(tmp_path: Path) -> None:
    """Its owner may change it between the look and the opening. Bites: FILE without O_NONBLOCK in `tree_key`."""
    (folder := tmp_path / "app").mkdir()
    (folder / "file").touch()
    done = subprocess.run(
        [sys.executable, "-c", RACES, str(folder)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == "went on\n", done.stderr
