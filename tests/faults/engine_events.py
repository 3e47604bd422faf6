"""What the engine itself says happened to containers, and when: the times by which faults are measured."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Event:
    """`action` as "start", "kill", "oom", "die"; `at` in seconds; `signal` of a kill, `code` of a die, else -1."""

    action: str
    container: str
    dyno: str
    at: float
    signal: int = -1
    code: int = -1


@dataclass(frozen=True)
class Recorder:
    """What happens while it records; the engine itself keeps the newest 256 of all only."""

    file: Path

    def of(self, *actions: str, dyno: str = "", container: str = "") -> list[Event]:
        """These, oldest first; of one dyno ("web.1") or container where it is named."""
        whole = self.file.read_text().rpartition("\n")[0]
        return [
            event
            for event in map(_event, whole.splitlines())
            if event.action in actions and dyno in ("", event.dyno) and container in ("", event.container)
        ]


@contextlib.contextmanager
def recorded(directory: Path, app_id: str) -> Iterator[Recorder]:
    """The events of an app's dynos, from now on."""
    file = directory / f"events-{time.monotonic_ns()}.json"
    command = ["docker", "events", "--since", f"{time.time():.3f}", "--format", "{{json .}}"]
    with file.open("wb") as output:
        watching = subprocess.Popen([*command, "--filter", f"label=paasd.app={app_id}"], stdout=output)
    try:
        yield Recorder(file)
    finally:
        watching.kill()
        watching.wait()


def _event(row: str) -> Event:
    found = json.loads(row)
    marks = found["Actor"]["Attributes"]
    return Event(
        str(found["Action"]),
        str(marks.get("name", "")),
        str(marks.get("paasd.dyno", "")),
        int(found["timeNano"]) / 1e9,
        int(marks.get("signal", -1)),
        int(marks.get("exitCode", -1)),
    )


def gaps(of: Sequence[Event]) -> list[float]:
    """Seconds from each end of a dyno to the next start in its place; the last end may have none yet."""
    found, ended = [], None
    for event in of:
        if event.action == "die":
            ended = event.at
        elif event.action == "start" and ended is not None:
            found.append(event.at - ended)
            ended = None
    return found
