"""How a container ends: waited for, brought about, and what is known of it afterwards."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from paasd.adapters.docker_api import DockerApi, Refused
from paasd.adapters.docker_containers import read_exit
from paasd.adapters.docker_faults import absent
from paasd.domain.dyno import Exit
from paasd.domain.errors import EngineUnavailable
from paasd.failpoints import Failpoints

ENDED = ("exited", "dead")

Find = Callable[[str], Awaitable[Mapping[str, Any] | None]]


class Endings:
    """The ends of dynos. `find` looks at a container, by its name."""

    def __init__(self, api: DockerApi, find: Find, failpoints: Failpoints) -> None:
        self._api = api
        self._find = find
        self._failpoints = failpoints

    async def stop(self, dyno_id: str, grace: float) -> Exit | None:
        """SIGTERM, `grace` seconds, SIGKILL, then remove; how it ended. Absent: None."""
        seconds = max(0, round(grace))
        try:
            await self._api.post(f"/containers/{dyno_id}/stop", t=str(seconds), timeout=seconds + 30.0)
        except Refused as error:
            if error.status == 404:
                return None
        container = await self._find(dyno_id)
        await self._failpoints.reach("retire")
        await self.remove(dyno_id)
        ended = container is not None and container["State"]["Status"] in ENDED
        return read_exit(container["State"]) if ended and container is not None else None

    async def wait(self, dyno_id: str) -> Exit:
        """Until it ends. NotFound when there is no such dyno."""
        try:
            async with self._api.stream(
                "POST", f"/containers/{dyno_id}/wait", params={"condition": "next-exit"}
            ) as ending:
                # Asked only now: whatever ends from here on, the open request will tell.
                state = (await self._api.get(f"/containers/{dyno_id}/json"))["State"]
                if state["Status"] in ENDED:
                    return read_exit(state)
                body = b"".join([chunk async for chunk in self._api.chunks(ending)])
        except Refused as error:
            raise absent(dyno_id) if error.status == 404 else error from error
        return await self._exit(dyno_id, body)

    async def remove(self, dyno_id: str) -> None:
        """Killed where it runs. Absent: fine."""
        try:
            await self._api.call("remove_container", dyno_id, force=True, v=True)
        except Refused as error:
            if error.status != 404 and "already in progress" not in error.words:
                raise

    async def _exit(self, dyno_id: str, body: bytes) -> Exit:
        container = await self._find(dyno_id)
        if container is not None and container["State"]["Status"] in ENDED:
            return read_exit(container["State"])
        try:  # removed as soon as it ended: what the engine told is all there is
            return read_exit({"ExitCode": json.loads(body)["StatusCode"]})
        except (ValueError, KeyError, TypeError) as error:
            raise EngineUnavailable(
                f"How {dyno_id} ended is not known, since Docker went away meanwhile; run `paasd doctor`."
            ) from error
