"""Every API call of a fault test and its answer, as its clients saw them: what the checker reads.

A call that got no answer (the daemon died) is recorded too: nobody knows whether it was carried out.
"""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.daemon import Daemon


@dataclass(frozen=True)
class Call:
    """One call. Times are time.monotonic(); `status` is None, and `ended` the end of time, when no answer came."""

    began: float
    ended: float
    method: str
    path: str
    body: Any
    status: int | None
    answer: Any

    @property
    def acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Certainly not carried out."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def app(self) -> str | None:
        """The app it is about, by the name in its path, or in its body where it makes one."""
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] != "apps":
            return None
        return parts[1] if len(parts) > 1 else (self.body or {}).get("name") if self.method == "POST" else None


NEVER = float("inf")


@dataclass
class History:
    """Calls in the order they ended; may be told of from several threads."""

    calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)

    def save(self, file: Path) -> None:
        """One JSON object a line, for whoever wants to see what happened."""
        file.write_text("".join(json.dumps(asdict(call)) + "\n" for call in self.calls))

    @staticmethod
    def load(file: Path) -> "History":
        """What `save` wrote."""
        return History([Call(**json.loads(line)) for line in file.read_text().splitlines()])

    def of(self, app: str) -> Iterable[Call]:
        """The calls about one app, by the time they began."""
        return sorted((call for call in self.calls if call.app == app), key=lambda call: call.began)


@dataclass
class RecordedDaemon(Daemon):
    """A daemon whose every call is recorded."""

    history: History = field(default_factory=History)

    def call(self, method: str, path: str, body: object = None, *, missing_ok: bool = False) -> tuple[int, Any]:
        """As Daemon's."""
        began = time.monotonic()
        try:
            status, answer = super().call(method, path, body, missing_ok=missing_ok)
        except (OSError, HTTPException, ValueError):
            self.history.add(Call(began, NEVER, method, path, body, None, None))
            raise
        self.history.add(Call(began, time.monotonic(), method, path, body, status, answer))
        return status, answer
