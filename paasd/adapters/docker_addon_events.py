"""The end of add-ons' servers, as the engine tells it at once."""

import json
import time
from collections.abc import AsyncGenerator

from paasd.adapters.docker_addon_links import ADDON, is_server
from paasd.adapters.docker_api import DockerApi, sensible
from paasd.adapters.docker_containers import HOME
from paasd.adapters.docker_streams import json_lines

NAMES = ("die", "destroy", "pause")


def follow(api: DockerApi, home: str) -> AsyncGenerator[str | None, None]:
    """None once the engine has begun to tell, then the ids of add-ons whose containers ended, from this call on. Ends,
    or raises EngineUnavailable, when the engine goes away."""
    return _follow(api, home, f"{time.time():.9f}")


async def _follow(api: DockerApi, home: str, since: str) -> AsyncGenerator[str | None, None]:
    filters = {"type": ["container"], "event": list(NAMES), "label": [f"{HOME}={home}", ADDON]}
    params = {"since": since, "filters": json.dumps(filters)}
    async with api.stream("GET", "/events", params=params) as response:
        yield None
        async for event in json_lines(api.chunks(response)):
            with sensible():
                marks = event["Actor"]["Attributes"]
                addon_id = str(marks[ADDON])
            if is_server(marks):
                yield addon_id
