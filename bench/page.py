"""How a bench looks: plain columns that read the same in a pipe, the machine they were taken on, and verdicts."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path


def title(text: str) -> None:
    """The head of a page, with the machine line."""
    print(f"\n{text}\n{machine()}\n", flush=True)


def machine() -> str:
    """Cores, kernel, engine and how busy it is: figures mean little without them."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    engine = subprocess.run(command, capture_output=True, text=True).stdout.strip() or "no engine"
    load = Path("/proc/loadavg").read_text().split()[0]
    python = platform.python_version()
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Docker Engine {engine}, Python {python}, load {load}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, figures to the right."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    print(flush=True)


def verdict(met: bool, text: str) -> bool:
    """One line, met or missed; gives `met` back."""
    print(f"  {'met   ' if met else 'MISSED'}  {text}", flush=True)
    return met


def ms(seconds: float) -> str:
    """Milliseconds: whole ones from 10 on."""
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def quantile(rising: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed; 0 for none."""
    return rising[min(len(rising) - 1, int(len(rising) * share))] if rising else 0.0
