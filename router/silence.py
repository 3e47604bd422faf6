"""Ends what has been silent for too long, by one timer for all: of an idle websocket a timer would be a tenth."""

import asyncio
from typing import Protocol

_AT_MOST_LATE = 1.0


class Watched(Protocol):
    """`idle_timeout` in seconds; `heard` is the loop's time when something was last carried."""

    idle_timeout: float
    heard: float

    def fell_silent(self) -> None: ...


class Silences:
    """Looks at all there are when the first of them may be due; so each is ended up to a tenth of its limit late."""

    def __init__(self) -> None:
        self._watched: dict[Watched, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, watched: Watched) -> None:
        """End it by `fell_silent` when nothing was heard for as long as it says, unless it is forgotten."""
        self._watched[watched] = None
        self._arm(watched.heard + watched.idle_timeout)

    def forget(self, watched: Watched) -> None:
        """Watch it no more."""
        self._watched.pop(watched, None)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for watched in [each for each in self._watched if each.heard + each.idle_timeout <= now]:
            watched.fell_silent()
        if self._watched:
            # Not at once for the next of many that are due one after the other: a look is at all of them.
            soonest = now + min(_AT_MOST_LATE, min(each.idle_timeout for each in self._watched) / 10)
            self._arm(max(soonest, min(each.heard + each.idle_timeout for each in self._watched)))
