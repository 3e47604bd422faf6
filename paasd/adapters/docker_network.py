"""An app's own network: a small subnet out of our pool, free of all that this host and its engine already use.

Dynos get addresses of its lower half; the upper half is for add-ons, whose addresses stand in config vars.
"""

import asyncio
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path
from typing import Any

from paasd.adapters.docker_api import DockerApi, DockerSettings, Refused
from paasd.adapters.docker_containers import APP, HOME
from paasd.domain.errors import EngineUnavailable

ATTEMPTS = 20
SMALL_PREFIX = 27  # beyond it all addresses are the dynos'


class Networks:
    """One bridge network an app. All calls may be repeated."""

    def __init__(self, api: DockerApi, home: str, settings: DockerSettings) -> None:
        self._api = api
        self._home = home
        self._pool = IPv4Network(settings.subnet_pool)
        self._prefix = settings.subnet_prefix
        self._choosing = asyncio.Lock()

    def name(self, app_id: str) -> str:
        """The network's name: `paasd-<home>-<app>`."""
        return f"paasd-{self._home}-{app_id.replace('-', '')[:12]}"

    async def create(self, app_id: str) -> None:
        """Already there: fine. EngineUnavailable when the pool is used up."""
        if await self._is_there(app_id):
            return
        async with self._choosing:
            refused: list[IPv4Network] = []
            for _ in range(ATTEMPTS):
                networks = await self._api.call("networks")
                if any(network["Name"] == self.name(app_id) for network in networks):
                    return
                subnet = choose_subnet(self._pool, self._prefix, [*used_subnets(networks), *host_routes(), *refused])
                if await self._create(app_id, subnet):
                    return
                refused.append(subnet)
        raise EngineUnavailable(
            f"Docker refused {ATTEMPTS} subnets of {self._pool} as overlapping; choose another subnet pool."
        )

    async def apps(self) -> Sequence[str]:
        """The ids of the apps whose networks are there."""
        found = await self._api.call("networks", filters={"label": f"{HOME}={self._home}"})
        return [network["Labels"][APP] for network in found if APP in network["Labels"]]

    async def default_bridge(self) -> str | None:
        """The interface of the engine's default network, on which builds run. None where it has none."""
        try:
            network = await self._api.get("/networks/bridge")
        except Refused as error:
            if error.status != 404:
                raise
            return None
        return str((network.get("Options") or {}).get("com.docker.network.bridge.name") or "docker0")

    async def _is_there(self, app_id: str) -> bool:
        """The quick question: every deploy asks it."""
        try:
            await self._api.get(f"/networks/{self.name(app_id)}")
        except Refused as error:
            if error.status != 404:
                raise
            return False
        return True

    async def _create(self, app_id: str, subnet: IPv4Network) -> bool:
        """Whether the network is there now; False when the subnet is taken after all."""
        try:
            await self._api.call(
                "create_network",
                self.name(app_id),
                driver="bridge",
                check_duplicate=True,
                ipam={"Driver": "default", "Config": [{"Subnet": str(subnet), **dyno_range(subnet)}]},
                labels={HOME: self._home, APP: app_id},
            )
        except Refused as error:
            if "overlap" in error.words.lower():
                return False
            if error.status != 409:
                raise
        return True

    async def remove(self, app_id: str) -> None:
        """Absent: fine. What is still connected is cut off first."""
        name = self.name(app_id)
        try:
            network = await self._api.call("inspect_network", name)
            for container in network.get("Containers") or {}:
                await self._disconnect(container, name)
            await self._api.call("remove_network", name)
        except Refused as error:
            if error.status != 404:
                raise

    async def _disconnect(self, container: str, name: str) -> None:
        try:
            await self._api.call("disconnect_container_from_network", container, name, force=True)
        except Refused as error:
            if error.status != 404:
                raise


def dyno_range(subnet: IPv4Network) -> dict[str, str]:
    """Which of a network's addresses the engine gives away: the lower half, the upper is for what keeps its address.

    Of a small one all, since its dynos need them.
    """
    if subnet.prefixlen > SMALL_PREFIX:
        return {}
    return {"IPRange": str(next(subnet.subnets()))}


def kept_addresses(subnet: IPv4Network) -> list[IPv4Address]:
    """The upper half, where add-ons have their fixed addresses."""
    *_, upper = subnet.subnets()
    return [address for address in upper if address != subnet.broadcast_address]


def choose_subnet(pool: IPv4Network, prefix: int, taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first subnet of the pool that overlaps nothing. EngineUnavailable when there is none."""
    inside = [network for network in taken if network.overlaps(pool)]
    for subnet in pool.subnets(new_prefix=prefix):
        if not any(subnet.overlaps(network) for network in inside):
            return subnet
    raise EngineUnavailable(f"No free subnet is left in {pool} for another app; destroy one, or choose a wider pool.")


def used_subnets(networks: Iterable[Mapping[str, Any]]) -> list[IPv4Network]:
    """The IPv4 subnets of the engine's networks."""
    configs = [config for network in networks for config in (network.get("IPAM") or {}).get("Config") or ()]
    subnets = [ip_network(config["Subnet"], strict=False) for config in configs if config.get("Subnet")]
    return [subnet for subnet in subnets if isinstance(subnet, IPv4Network)]


def host_routes(table: Path = Path("/proc/net/route")) -> list[IPv4Network]:
    """Where this host already sends packets, without the default route. Empty where that can't be read."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    routes = [IPv4Network((_number(row[1]), _number(row[7]).bit_count())) for row in rows if len(row) > 7]
    return [route for route in routes if route.prefixlen]


def _number(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits), sys.byteorder)


def is_local(address: str) -> bool:
    """Whether this host owns an address: only then are the containers behind that gateway in reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def gateways(networks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The host's address on each of the engine's bridges."""
    found = []
    for network in networks:
        configs = (network.get("IPAM") or {}).get("Config") or ()
        named = [str(config["Gateway"]).partition("/")[0] for config in configs if config.get("Gateway")]
        # Not named where Docker chose it itself: then it is the subnet's first address.
        first = [str(next(subnet.hosts())) for subnet in used_subnets([network])]
        if network.get("Driver") == "bridge":
            found += named or first
    return found
