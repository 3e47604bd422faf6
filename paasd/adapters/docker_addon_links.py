"""How an add-on's container stands in its apps' networks: at an address of its own in each, that outlives it."""

import asyncio
import json
import zlib
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from paasd.adapters.docker_api import DockerApi, Refused
from paasd.adapters.docker_containers import DYNO, HOME
from paasd.adapters.docker_network import Networks, kept_addresses, used_subnets
from paasd.domain.errors import EngineUnavailable, NotFound

ADDON = "paasd.addon"
NOWHERE = "none"  # Docker's name of no network


class Links:
    """Of one home. An address is chosen by the add-on's id, so that it comes out the same when it is chosen again."""

    def __init__(self, api: DockerApi, home: str, networks: Networks) -> None:
        self._api = api
        self._home = home
        self._networks = networks
        self._choosing = asyncio.Lock()

    async def __aenter__(self) -> "Links":
        """Held while an address is chosen and taken."""
        await self._choosing.acquire()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._choosing.release()

    def network(self, app_id: str) -> str:
        """The name of an app's network."""
        return self._networks.name(app_id)

    async def endpoint(self, app_id: str, addon_id: str, kept: Mapping[str, str] = {}) -> tuple[str, dict[str, Any]]:
        """(network, its part of a container's NetworkingConfig) at the address it had, or at one that is free."""
        await self._networks.create(app_id)
        name = self._networks.name(app_id)
        wanted = kept.get(name)
        network = await self._api.get(f"/networks/{name}")
        subnets = used_subnets([network])
        if not subnets:
            raise EngineUnavailable(f"Docker's network {name} has no subnet; remove it, and it is made anew.")
        taken = await self._taken(name, network)
        address = wanted if wanted is not None and wanted not in taken else choose(subnets[0], addon_id, taken)
        return name, {"IPAMConfig": {"IPv4Address": address}}

    async def connect(self, container: str, app_id: str, addon_id: str, kept: Mapping[str, str] = {}) -> None:
        """Connected already: fine."""
        async with self:
            found = await self._api.get(f"/containers/{container}/json")
            if address_in(found, self._networks.name(app_id)) is not None:
                return
            if NOWHERE in found["NetworkSettings"]["Networks"]:  # it was made for no app: Docker allows no second then
                await self._api.call("disconnect_container_from_network", container, NOWHERE, force=True)
            name, endpoint = await self.endpoint(app_id, addon_id, kept)
            address = endpoint["IPAMConfig"]["IPv4Address"]
            try:
                await self._api.call("connect_container_to_network", container, name, ipv4_address=address)
            except Refused as error:
                if "already in use" not in error.words or not await self.evict(name, address):
                    raise
                await self._api.call("connect_container_to_network", container, name, ipv4_address=address)

    async def disconnect(self, container: str, app_id: str) -> None:
        """Neither of them there, or not connected: fine."""
        try:
            name = self._networks.name(app_id)
            await self._api.call("disconnect_container_from_network", container, name, force=True)
        except Refused as error:
            if error.status != 404 and "not connected" not in error.words:
                raise

    async def evict(self, name: str, address: str) -> bool:
        """Give whoever was given this address another one: a dyno, in a network whose addresses all are the dynos'.

        False where nobody has it.
        """
        network = await self._api.get(f"/networks/{name}")
        for container, entry in (network.get("Containers") or {}).items():
            if str(entry.get("IPv4Address", "")).partition("/")[0] == address:
                await self._api.call("disconnect_container_from_network", container, name, force=True)
                await self._api.call("connect_container_to_network", container, name)
                return True
        return False

    def address(self, container: Mapping[str, Any], app_id: str) -> str:
        """The add-on's, from that app. NotFound when it is not linked."""
        found = address_in(container, self._networks.name(app_id))
        if found is None:
            raise NotFound("The add-on is not attached to this app; attach it with `heroku addons:attach`.")
        return found

    def kept(self, container: Mapping[str, Any]) -> dict[str, str]:
        """Its addresses by network, for a container that takes its place."""
        names = container["NetworkSettings"]["Networks"] if container else {}
        return {name: found for name in names if (found := address_in(container, name)) is not None}

    async def _taken(self, name: str, network: Mapping[str, Any]) -> set[str]:
        """All that somebody has in this network, or will have when it starts again."""
        entries = (network.get("Containers") or {}).values()
        taken = {str(entry.get("IPv4Address", "")).partition("/")[0] for entry in entries}
        wanted = json.dumps({"label": [f"{HOME}={self._home}", ADDON]})
        for container in await self._api.get("/containers/json", all="1", filters=wanted):
            if is_server(container["Labels"]) and (found := address_in(container, name)):
                taken.add(found)
        return taken


def is_server(labels: Mapping[str, str]) -> bool:
    """Whether a container with an add-on's label is one. A dyno has its image's labels, which may say so too."""
    return DYNO not in labels


def address_in(container: Mapping[str, Any], network: str) -> str | None:
    """Which address it has, or has when it runs."""
    endpoint = container["NetworkSettings"]["Networks"].get(network)
    if endpoint is None:
        return None
    return (endpoint.get("IPAMConfig") or {}).get("IPv4Address") or endpoint.get("IPAddress") or None


def choose(subnet: IPv4Network, addon_id: str, taken: set[str]) -> str:
    """By the add-on's id, or the next that is free. EngineUnavailable when there is none."""
    places = [str(address) for address in kept_addresses(subnet)]
    first = zlib.crc32(addon_id.encode()) % len(places)
    for address in [*places[first:], *places[:first]]:
        if address not in taken:
            return address
    raise EngineUnavailable(
        f"No address is left for another add-on in {subnet}; detach one, or choose a smaller docker.subnet_prefix."
    )
