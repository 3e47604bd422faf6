"""What an app's log says of a dyno's end, in Heroku's words and with its codes."""

from time import monotonic

from paasd.domain.dyno import Dyno, Exit
from paasd.ports import Change, Engine
from paasd.services.logs import AppLogs

SIGKILL = 9
R14_SECONDS = 20.0  # between two of a dyno, as on Heroku


def note_exit(logs: AppLogs, app_id: str, process: str, how: Exit) -> None:
    """How a process ended by itself, or by the kernel: then R15 before it."""
    if how.oom:
        logs.note(app_id, process, "Error R15 (Memory quota vastly exceeded)")
    logs.note(app_id, process, f"Process {how.describe()}")


async def stop_dyno(engine: Engine, logs: AppLogs, dyno: Dyno, grace: float) -> Exit | None:
    """SIGTERM, `grace` seconds, SIGKILL, and how it ended, if that is known; R12 for a dyno that had to be killed."""
    logs.note(dyno.app_id, dyno.name, "Stopping all processes with SIGTERM")
    began = monotonic()
    how = await engine.stop(dyno.id, grace=grace)
    if how is not None and how.signal == SIGKILL and not how.oom and monotonic() - began >= grace:
        text = f"Error R12 (Exit timeout) -> At least one process failed to exit within {grace:g} seconds of SIGTERM"
        logs.note(dyno.app_id, dyno.name, text)
        logs.note(dyno.app_id, dyno.name, "Stopping remaining processes with SIGKILL")
    return how


class MemoryQuota:
    """R14: the kernel killed a process of a dyno at its limit. Whether the dyno goes on is told apart from it (R15)."""

    def __init__(self, logs: AppLogs, interval: float = R14_SECONDS) -> None:
        """`interval`: seconds in which a dyno that meets its limit again and again is not told so twice."""
        self._logs = logs
        self._interval = interval
        self._said: dict[tuple[str, str], float] = {}

    def note(self, change: Change) -> None:
        """It happened, now."""
        now, key = monotonic(), (change.app_id, change.dyno)
        self._said = {other: at for other, at in self._said.items() if now - at < self._interval}
        if key not in self._said:
            self._said[key] = now
            self._logs.note(change.app_id, change.dyno, "Error R14 (Memory quota exceeded)")
            self._logs.note(change.app_id, change.dyno, "A process was killed at the dyno's memory limit")
