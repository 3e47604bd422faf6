"""Our own: what the daemon's process uses of the machine. Whoever watches it sees a leak before it hurts."""

import asyncio
import os
import threading
from pathlib import Path

from aiohttp import web

from paasd.api.replies import reply

ME = Path("/proc/self")


async def show(request: web.Request) -> web.Response:
    return reply(request, process_resource())


def process_resource() -> dict[str, int]:
    """Now: bytes resident, open file descriptors, threads, and the asyncio tasks that have not ended."""
    return {
        "pid": os.getpid(),
        "memory_bytes": int((ME / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": sum(1 for _ in (ME / "fd").iterdir()) - 1,  # but for the one that reads them
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
    }


ROUTES = (web.get("/paasd/process", show),)
