"""Add-ons as containers: each a server of its own, its data in a volume of its own, on its apps' networks alone.

All that is known is asked of Docker, by labels. No port is published: what reaches a server is its apps' dynos, and
this host. Passwords are in no container's settings: PostgreSQL is told a verifier, Redis a digest.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from paasd.adapters import docker_addon_events
from paasd.adapters.addon_each import check_tool, mend_each
from paasd.adapters.docker_addon_images import AddonImages
from paasd.adapters.docker_addon_links import ADDON, Links, is_server
from paasd.adapters.docker_addon_redis import RedisServer
from paasd.adapters.docker_addon_server import SERVERS, TOOL_USER, addon_body, first_files
from paasd.adapters.docker_addon_sql import PostgresServer
from paasd.adapters.docker_api import DockerApi, DockerSettings, Refused
from paasd.adapters.docker_containers import HOME
from paasd.adapters.docker_network import Networks
from paasd.adapters.docker_shells import open_exec
from paasd.domain.addon import Kind
from paasd.domain.errors import Conflict, EngineUnavailable, InvalidParams, NotFound, PaasError, ProviderFailed
from paasd.ports import Access, Condition, Order, Shell, Size

log = structlog.get_logger(__name__)

READY_SECONDS = 120.0
STOP_SECONDS = 30
LAST_LINES = 5


class DockerAddons:
    """The provider `container`. `home` as the engine's; `search_path` for the programs that make images."""

    name = "container"

    def __init__(self, home: str, settings: DockerSettings | None = None, *, search_path: str = "") -> None:
        self._home = home
        self._settings = settings or DockerSettings()
        self._api = DockerApi(self._settings)
        self._links = Links(self._api, home, Networks(self._api, home, self._settings))
        self._images = AddonImages(self._api, search_path, self._settings.host)
        self._servers: Mapping[Kind, PostgresServer | RedisServer] = {
            Kind.POSTGRESQL: PostgresServer(self._api),
            Kind.REDIS: RedisServer(self._api),
        }

    async def __aenter__(self) -> "DockerAddons":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._api.close()

    async def problem(self, kind: Kind) -> str | None:
        """None: they can be had here. Asks the engine."""
        if kind not in SERVERS:
            return f"The provider {self.name} has PostgreSQL and Redis only."
        if await self._images.has(kind) or self._images.can_make():
            return None
        return f"The image {SERVERS[kind].image} is not here; make it in paasd's checkout: deploy/setup/base-images."

    async def provision(self, order: Order) -> None:
        """Its volume, its container, its user. Nothing of these is left, unless it was there before, when it fails."""
        self._server(order)
        await self._images.ensure(order.kind)
        async with AsyncExitStack() as undo:
            if await self._make_volume(order):
                undo.push_async_callback(self._remove_volume, order)
            if await self._find(order) is None:
                undo.push_async_callback(self._remove_container, order, orderly=False)
            await self._run(order)
            undo.pop_all()

    async def access(self, order: Order, app_id: str) -> Access:
        """As it stands in that app's network."""
        host = self._links.address(await self._inspect(order), app_id)
        return self._server(order).access(order, host)

    async def link(self, order: Order, app_id: str) -> None:
        """At an address of its own there."""
        await self._inspect(order)
        await self._links.connect(self._container(order), app_id, order.addon_id)

    async def unlink(self, order: Order, app_id: str) -> None:
        """Packets of that app reach it no more."""
        await self._links.disconnect(self._container(order), app_id)

    async def resize(self, order: Order) -> None:
        """A container with the plan's limits in the place of the one before: down for a moment."""
        condition = await self.condition(order)
        bound = order.plan.bound_of(order.kind)
        if bound is not None and condition.used is not None and condition.used > bound:
            raise InvalidParams(
                f"{order.name} has {condition.used} bytes of data and {order.plan.name} is for {bound}; "
                "remove some of it, or choose a larger plan."
            )
        kept = self._links.kept(await self._inspect(order))
        await self._remove_container(order)
        await self._run(order, kept)

    async def rotate(self, order: Order) -> None:
        """Then ends the connections that were made with the one before."""
        await self._server(order).rotate(await self._running(order), order)

    async def hang_up(self, order: Order) -> None:
        """End all connections of the apps' user."""
        await self._server(order).hang_up(await self._running(order), order)

    async def reset(self, order: Order) -> None:
        """Empty it."""
        await self._server(order).reset(await self._running(order), order)

    async def condition(self, order: Order) -> Condition:
        """Asks the server itself."""
        found = await self._inspect(order)
        if not found["State"]["Running"] or found["State"].get("Paused"):
            return Condition(up=False, detail=f"Its container is {found['State']['Status']}; paasd starts it again.")
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                return await self._server(order).condition(self._container(order), order)
        except TimeoutError:
            return Condition(up=False, detail="It does not answer; it may still be starting.")
        except (ProviderFailed, Refused) as error:
            return Condition(up=False, detail=str(error))

    async def mend(self, orders: Sequence[Order]) -> None:
        """Each by itself. Raises the first error then."""
        await mend_each(orders, self._mend)

    def endings(self) -> AsyncGenerator[str | None, None]:
        """By the engine's events."""
        return docker_addon_events.follow(self._api, self._home)

    async def tool(
        self,
        order: Order,
        argv: Sequence[str],
        env: Mapping[str, str] = {},
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
    ) -> Shell:
        """In its container, as nobody."""
        check_tool(order, argv, SERVERS[order.kind].tools)
        given = {**self._server(order).environment(order), **env}
        container = await self._running(order)
        return await open_exec(self._api, container, argv, given, size=size, user=TOOL_USER, errors=errors)

    async def set_aside(self, order: Order) -> None:
        """Its volume stays."""
        await self._remove_container(order)

    async def bring_back(self, order: Order) -> None:
        """A container over the volume that was kept."""
        if not await self._has_volume(order):
            raise NotFound(f"The data of {order.name} is gone; restore a backup into a new add-on.", resource="add_on")
        await self._run(order)

    async def purge(self, order: Order) -> None:
        """Container and volume."""
        await self._remove_container(order, orderly=False)
        await self._remove_volume(order)

    async def kept(self) -> Sequence[str]:
        """By the labels of volumes and containers."""
        wanted = {"label": [f"{HOME}={self._home}", ADDON]}
        volumes = await self._api.get("/volumes", filters=json.dumps(wanted))
        containers = await self._api.get("/containers/json", all="1", filters=json.dumps(wanted))
        servers = [one for one in containers if is_server(one["Labels"])]
        return sorted({str(one["Labels"][ADDON]) for one in [*(volumes["Volumes"] or []), *servers]})

    # --- what there is ----------------------------------------------------------------------------------------------

    def _server(self, order: Order) -> PostgresServer | RedisServer:
        if order.kind not in self._servers:
            raise ProviderFailed(f"The provider {self.name} has PostgreSQL and Redis only.")
        return self._servers[order.kind]

    def _container(self, order: Order) -> str:
        return f"paasd-{self._home}-{order.addon_id}"

    async def _find(self, order: Order) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._api.get(f"/containers/{self._container(order)}/json")
        except Refused as error:
            if error.status != 404:
                raise
            return None
        return found

    async def _inspect(self, order: Order) -> Mapping[str, Any]:
        found = await self._find(order)
        if found is None:
            raise NotFound(f"{order.name} has no container here; it is made again in a moment.", resource="add_on")
        return found

    async def _running(self, order: Order) -> str:
        found = await self._inspect(order)
        if not found["State"]["Running"]:
            raise EngineUnavailable(f"{order.name} is not up; try again in a moment.")
        return self._container(order)

    # --- making it run ----------------------------------------------------------------------------------------------

    async def _mend(self, order: Order) -> None:
        found = await self._find(order)
        state = found["State"] if found is not None else {}
        if state.get("Paused"):
            await self._api.call("unpause", self._container(order))
        wanted = {self._links.network(app_id) for app_id in order.apps}
        if found is None and not await self._has_volume(order):
            raise NotFound(f"The data of {order.name} is gone; restore a backup into a new add-on.", resource="add_on")
        if not state.get("Running") or not wanted <= set(self._links.kept(found or {})):
            await self._run(order)

    async def _run(self, order: Order, kept: Mapping[str, str] = {}) -> None:
        """Container, links, started, and its user's way in. Each step that was done before is left as it is."""
        container = self._container(order)
        if await self._find(order) is None:
            await self._create(order, kept)
        for app_id in order.apps:
            await self._links.connect(container, app_id, order.addon_id, kept)
        await self._start(order)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._server(order).settle(container, order)
        except TimeoutError as error:
            raise ProviderFailed(f"{order.name} did not answer within {READY_SECONDS:.0f} s.") from error
        except (ProviderFailed, Refused) as error:
            raise await self._why(order, error) from error

    async def _create(self, order: Order, kept: Mapping[str, str]) -> None:
        async with self._links:
            networks = [await self._links.endpoint(order.apps[0], order.addon_id, kept)] if order.apps else []
            labels = {HOME: self._home, ADDON: order.addon_id}
            container = self._container(order)
            body = addon_body(order, container, labels, dict(networks), self._settings)
            try:
                await self._api.call("create_container_from_config", body, container)
            except Refused as error:
                if error.status == 409:
                    raise Conflict(f"A container named {container} is there already; remove or rename it.") from error
                raise
        try:
            await self._api.call("put_archive", container, SERVERS[order.kind].data, first_files(order))
        except BaseException:
            await self._remove_container(order, orderly=False)
            raise

    async def _start(self, order: Order) -> None:
        container = self._container(order)
        try:
            await self._api.call("start", container)
        except Refused as error:
            if "already in use" not in error.words.lower():
                raise
            found = await self._inspect(order)
            kept = self._links.kept(found)
            if not any([await self._links.evict(name, address) for name, address in kept.items()]):
                raise
            await self._api.call("start", container)

    async def _why(self, order: Order, error: PaasError) -> PaasError:
        """What the server itself said, where it ended."""
        found = await self._find(order)
        if found is None or found["State"]["Running"]:
            return error
        said = await self._api.call("logs", self._container(order), tail=LAST_LINES)
        words = " ".join(bytes(said).decode(errors="replace").split())[-300:]
        return ProviderFailed(f"The server of {order.name} ended ({words}).")

    # --- what is taken away -----------------------------------------------------------------------------------------

    async def _make_volume(self, order: Order) -> bool:
        """Whether it was made now."""
        if await self._has_volume(order):
            return False
        labels = {HOME: self._home, ADDON: order.addon_id}
        await self._api.call("create_volume", self._container(order), labels=labels)
        return True

    async def _has_volume(self, order: Order) -> bool:
        try:
            await self._api.get(f"/volumes/{self._container(order)}")
        except Refused as error:
            if error.status != 404:
                raise
            return False
        return True

    async def _remove_volume(self, order: Order) -> None:
        try:
            await self._api.call("remove_volume", self._container(order), force=False)
        except Refused as error:
            if error.status != 404:
                raise

    async def _remove_container(self, order: Order, *, orderly: bool = True) -> None:
        """With `orderly` its server ends by itself, so that the next start need not recover. Absent: fine."""
        container = self._container(order)
        try:
            if orderly:
                await self._api.post(f"/containers/{container}/stop", t=str(STOP_SECONDS), timeout=STOP_SECONDS + 30.0)
            await self._api.call("remove_container", container, force=True)
        except Refused as error:
            if error.status != 404 and "already in progress" not in error.words:
                raise
