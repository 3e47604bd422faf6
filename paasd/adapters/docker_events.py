"""What happens to dynos, as the engine tells it. A stream that broke off is taken up where it ended."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from paasd.adapters.docker_api import DockerApi, sensible
from paasd.adapters.docker_containers import APP, DYNO, HOME
from paasd.adapters.docker_streams import json_lines
from paasd.domain.errors import EngineUnavailable
from paasd.ports import Change

NAMES = ("start", "die", "oom", "destroy", "pause", "unpause", "rename", "disconnect")

Find = Callable[[str], Awaitable[Mapping[str, Any] | None]]


class Events:
    """The events of one home's dynos. `find` looks at a container, by its id."""

    def __init__(self, api: DockerApi, home: str, find: Find) -> None:
        self._api = api
        self._home = home
        self._find = find
        self._broken_off: str | None = None  # where a stream that broke off is to be taken up

    def follow(self) -> AsyncIterator[Change]:
        """What happened since now, or since the stream before broke off. Ends when the engine goes away."""
        return self._follow(self._broken_off or f"{time.time():.9f}")

    async def _follow(self, since: str) -> AsyncIterator[Change]:
        filters = {"type": ["container", "network"], "event": list(NAMES)}
        params = {"since": since, "filters": json.dumps(filters)}
        self._broken_off, begun = since, False
        try:
            async with self._api.stream("GET", "/events", params=params) as response:
                begun = True
                async for event in json_lines(self._api.chunks(response)):
                    with sensible():
                        self._broken_off = after(event)
                        change = await self._read(event)
                    if change is not None:
                        yield change
        except EngineUnavailable:
            if not begun:
                raise
        except GeneratorExit:
            self._broken_off = None  # nobody listens any more
            raise

    async def _read(self, event: Mapping[str, Any]) -> Change | None:
        """Whose dyno it is about: None where it is none of ours. Of a network's, only the container is told."""
        marks = event["Actor"]["Attributes"]
        if event["Type"] == "network":
            container = await self._find(marks["container"]) if "container" in marks else None
            marks = {} if container is None else container["Config"]["Labels"]
        if marks.get(HOME) != self._home or DYNO not in marks:
            return None
        return Change(marks[APP], marks[DYNO], out_of_memory=event.get("Action") == "oom")


def after(event: Mapping[str, Any]) -> str:
    """The moment after an event, as the engine writes times: its `since` takes in its own moment."""
    seconds, nanoseconds = divmod(int(event["timeNano"]) + 1, 10**9)
    return f"{seconds}.{nanoseconds:09d}"
