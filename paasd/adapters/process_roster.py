"""The dynos that run: known by their supervisors, those of earlier daemons too, and told of to whoever listens."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from paasd.adapters.process_dynos import DynoFolder, folders
from paasd.adapters.process_launch import Child
from paasd.adapters.process_tree import kill_cgroups, remove_cgroups
from paasd.adapters.trees import remove_tree
from paasd.domain.dyno import Exit
from paasd.ports import Change

ENDS_KEPT = 1000  # more than are ever awaited at once


class Roster:
    """`running` has each by its id; `ends` how the last ones ended, for those who wait while they are removed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.running: dict[str, Child] = {}
        self.ends: dict[str, Exit] = {}
        self._listeners: list[asyncio.Queue[Change | None]] = []

    def close(self) -> None:
        """Dynos go on."""
        for child in self.running.values():
            child.let_go()
        for queue in self._listeners:
            queue.put_nowait(None)

    def keep(self, folder: DynoFolder, child: Child, app_id: str) -> None:
        """A supervisor whose command runs."""

        def ended() -> None:
            self.running.pop(folder.id, None)
            self._see_to(folder)
            if (how := folder.exit()) is not None:
                self.ends[folder.id] = how
                while len(self.ends) > ENDS_KEPT:
                    del self.ends[next(iter(self.ends))]
            self.tell(app_id, (folder.made() or {}).get("name", ""), oom=how is not None and how.oom)

        child.hear = ended
        self.running[folder.id] = child

    def _see_to(self, folder: DynoFolder) -> None:
        """A supervisor that was killed has left its dyno's processes, and no word of its end."""
        made = folder.made()
        if made is None or folder.exit() is not None:
            return
        cgroups = [{"path": path} for path in made["cgroups"]]
        kill_cgroups(cgroups)
        remove_cgroups(cgroups)
        folder.lose()

    def adopt(self) -> None:
        """Dynos that an earlier daemon started: what runs is ours now, what does not is known to have ended."""
        for folder in folders(self._root / "dynos"):
            made, ran = folder.made(), folder.ran()
            if made is None or ran is None or folder.exit() is not None:
                continue
            child = Child.find(int(ran["supervisor"]), int(ran["ticks"]))
            if child is None:
                self._see_to(folder)
            else:
                self.keep(folder, child, made["app_id"])

    def clear(self) -> None:
        """What a killed daemon left half done."""
        for name in ("builds", "dynos"):
            for gone in (self._root / name).glob(".gone-*"):
                remove_tree(gone)
        for folder in folders(self._root / "builds"):
            ran = folder.ran()
            if ran is not None and folder.exit() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(ran["supervisor"]), signal.SIGUSR1)
            folder.remove()

    def tell(self, app_id: str, dyno: str, *, oom: bool = False) -> None:
        """Something happened to a dyno."""
        for queue in self._listeners:
            queue.put_nowait(Change(app_id, dyno, oom))

    def changes(self) -> AsyncIterator[Change]:
        """What is told from this call on."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._listeners.append(queue)
        return self._changes(queue)

    async def _changes(self, queue: "asyncio.Queue[Change | None]") -> AsyncIterator[Change]:
        try:
            while (change := await queue.get()) is not None:
                yield change
        finally:
            self._listeners.remove(queue)
