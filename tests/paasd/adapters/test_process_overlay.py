"""Files that are shown without a copy, and where that can't be done: in a child, whose mounts nobody else sees."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon import ROOT

OVERLAYS = os.geteuid() == 0 and "overlay" in Path("/proc/filesystems").read_text()
pytestmark = pytest.mark.skipif(not OVERLAYS, reason="needs root, and a kernel with overlays")

TRY = """
import os, sys
from paasd.adapters.process_overlay import lay_over
os.chdir(sys.argv[1])
print(lay_over(sys.argv[2], "app", (1000001, 1000001)), sorted(os.listdir("app")), os.stat("app").st_uid)
"""


def attempt(place: Path, lower: Path) -> str:
    command = [sys.executable, "-c", TRY, str(place), str(lower)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def test_a_layer_is_shown_as_the_user_s_own_folder(tmp_path: Path) -> None:
    """Bites: a comma or a colon in the home's name, which mean something in a mount's options."""
    place, lower = tmp_path / "a,b:c" / "dyno", tmp_path / "a,b:c" / "layer"
    (place / "app").mkdir(parents=True)
    lower.mkdir()
    (lower / "app.py").touch()
    assert attempt(place, lower) == "True ['app.py'] 1000001"
    assert list((place / "app").iterdir()) == []  # it was in the child's namespace, and is gone with it


def test_where_no_overlay_can_stand_that_is_said(tmp_path: Path) -> None:
    """Bites: a dyno without its files, instead of one with copies."""
    (tmp_path / "app").mkdir()
    assert attempt(tmp_path, Path("/nonexistent")) == "False [] 0"
