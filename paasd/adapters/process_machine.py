"""What this machine has for builds: the one stack of an engine without images."""

import re
import shutil
import subprocess
from pathlib import Path

from paasd.adapters.process_run import BASE_PATH
from paasd.adapters.process_sandbox import interpreter
from paasd.domain.stack import Stack, Stacks

SYSTEM_PYTHON = Path("/usr/bin/python3")
NAME = "machine"
SECONDS = 10.0
VERSION = re.compile(r"(\d+)\.(\d+)\.\d+")


def python() -> Path:
    """The one that apps' environments are made of: the system's, which every user may run, else our own."""
    return SYSTEM_PYTHON if SYSTEM_PYTHON.exists() else interpreter()


def stacks() -> Stacks:
    """Asks them; takes a moment."""
    ours, node = _version(str(python())), shutil.which("node", path=BASE_PATH)
    found = _version(node) if node is not None else None
    nodes = {found[1]: found[0]} if found is not None else {}
    return Stacks((Stack(NAME, f"{ours[1]}.{ours[2]}"),) if ours is not None else (), nodes)


def _version(program: str) -> re.Match[str] | None:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return VERSION.search(done.stdout)
