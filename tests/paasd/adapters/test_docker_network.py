"""Subnets are chosen free of everything; the rest is tested with a real engine."""

import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from paasd.adapters.docker_network import choose_subnet, gateways, host_routes, is_local, used_subnets
from paasd.domain.errors import EngineUnavailable

POOL = IPv4Network("10.213.0.0/16")
ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
tun0	0000D50A	00000000	0001	0	0	0	00C0FFFF	0	0	0
"""


def test_the_first_free_subnet_is_chosen() -> None:
    assert choose_subnet(POOL, 27, []) == IPv4Network("10.213.0.0/27")
    taken = [IPv4Network("10.213.0.0/26"), IPv4Network("10.213.0.96/28"), IPv4Network("192.168.0.0/16")]
    assert choose_subnet(POOL, 27, taken) == IPv4Network("10.213.0.64/27")


def test_a_used_up_pool_is_told() -> None:
    with pytest.raises(EngineUnavailable, match=r"No free subnet is left in 10\.213\.0\.0/16"):
        choose_subnet(POOL, 27, [IPv4Network("10.0.0.0/8")])


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is written in the machine's byte order")
def test_the_hosts_routes_are_read_without_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    assert host_routes(tmp_path / "route") == [IPv4Network("172.17.0.0/16"), IPv4Network("10.213.0.0/18")]
    assert host_routes(tmp_path / "absent") == []


def test_networks_of_all_kinds_are_read() -> None:
    networks: list[dict[str, Any]] = [
        {"Driver": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
        {"Driver": "bridge", "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.254"}]}},
        {"Driver": "bridge", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}},
        {"Driver": "host", "IPAM": {"Config": None}},
        {"Driver": "overlay", "IPAM": {"Config": [{"Subnet": "10.2.0.0/24"}]}},
        {"Driver": "null", "IPAM": None},
    ]
    assert [str(subnet) for subnet in used_subnets(networks)] == ["172.17.0.0/16", "10.1.0.0/24", "10.2.0.0/24"]
    assert gateways(networks) == ["172.17.0.1", "10.1.0.254"]


def test_an_address_is_known_as_this_hosts_or_not() -> None:
    assert is_local("127.0.0.1")
    assert not is_local("203.0.113.7")
