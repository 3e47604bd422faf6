"""What this machine has for builds: the one stack of an engine without images."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from paasd.adapters.process_run import BASE_PATH
from paasd.adapters.process_sandbox import interpreter
from paasd.domain.stack import MACHINE, Stack, Stacks

SYSTEM_PYTHON = Path("/usr/bin/python3")
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
    return Stacks((Stack(MACHINE, f"{ours[1]}.{ours[2]}"),) if ours is not None else (), nodes)


def not_installed(packages: Sequence[str]) -> list[str]:
    """Those of Debian's packages that this machine has not; all where there is nobody to ask."""
    names = [name.partition("=")[0] for name in packages]  # as an Aptfile may name a version
    if not names:
        return []
    asked = [
        "dpkg-query",
        "--show",
        "--showformat",
        "${db:Status-Status} ${Package} ${binary:Package}\\n",
        "--",
        *names,
    ]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return list(packages)
    words = [line.split() for line in done.stdout.splitlines() if line.startswith("installed ")]
    there = {word for line in words for word in line[1:3]}
    return [name for name in dict.fromkeys(names) if name not in there]


def _version(program: str) -> re.Match[str] | None:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return VERSION.search(done.stdout)
