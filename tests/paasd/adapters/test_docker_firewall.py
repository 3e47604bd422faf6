"""The host's firewall rules: put there once, put back when they are gone, and looked at without changing any."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from paasd.adapters.docker_firewall import COMMENT, Firewall

pytestmark = [
    pytest.mark.docker,  # one of the chains is Docker's
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may see and set firewall rules"),
]

POOL = "10.254.77.0/28"  # nobody's: what these tests take away, no other test's dynos need
BRIDGE = "paasd-none0"
DROP = ["-m", "conntrack", "--ctstate", "NEW", "-m", "comment", "--comment", COMMENT, "-j", "DROP"]
TOLD = f"""
import asyncio, os
from paasd.adapters.docker_firewall import Firewall

async def ask():
    os.seteuid(65534)
    firewall = Firewall({POOL!r})
    await firewall.close(None)
    print(await firewall.problem(None))

asyncio.run(ask())
"""


def rules() -> list[str]:
    """Ours among the host's rules for what comes in and for what passes through."""
    found = subprocess.run(["iptables", "-w", "5", "-S"], capture_output=True, text=True, check=True)
    return sorted(rule for rule in found.stdout.splitlines() if POOL in rule or BRIDGE in rule)


def take_away(rule: str) -> None:
    subprocess.run(["iptables", "-w", "5", "-D", *rule.split()[1:]], check=True)


@pytest.fixture
def firewall() -> Iterator[Firewall]:
    yield Firewall(POOL)
    for rule in rules():
        take_away(rule)


async def test_looking_changes_nothing_and_says_what_to_run(firewall: Firewall) -> None:
    said = await firewall.problem(None)
    assert said is not None
    assert said.startswith("Dynos and builds can reach this host's own services through their gateway: ")
    assert said.endswith(f"or run `sudo iptables -I INPUT -s {POOL} {' '.join(DROP)}`.")
    assert not rules()


async def test_closing_adds_each_rule_once_and_again_when_it_is_gone(firewall: Firewall) -> None:
    await asyncio.gather(firewall.close(BRIDGE), firewall.close(BRIDGE))
    closed = rules()
    assert [rule.partition(" -m conntrack")[0] for rule in closed] == [
        f"-A DOCKER-USER -d 169.254.0.0/16 -i {BRIDGE}",
        f"-A DOCKER-USER -s {POOL} -d 169.254.0.0/16",
        f"-A INPUT -i {BRIDGE} -p tcp -m tcp ! --dport 53",
        f"-A INPUT -i {BRIDGE} -p udp -m udp ! --dport 53",
        f"-A INPUT -s {POOL}",
    ]
    assert all(rule.endswith(f"--ctstate NEW -m comment --comment {COMMENT} -j DROP") for rule in closed)
    assert await firewall.problem(BRIDGE) is None
    for rule in closed:
        take_away(rule)
        assert await firewall.problem(BRIDGE) is not None
        await firewall.close(BRIDGE)
        assert rules() == closed


async def test_one_who_may_not_is_told_and_nothing_is_raised() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TOLD, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert not err, err.decode()
    assert b"unless the firewall stops them, which only root may see to; run `sudo iptables -I INPUT -s 10.254" in out
    assert not rules()
