"""The firewall rules that keep dynos and builds from this host's own services, and from what only this host may hear.

The latter is told at a link-local address in every cloud: whoever reaches it is given the machine's own credentials.

Each carries the comment `paasd-gateway`; whoever takes paasd off the machine removes them by that.
"""

import asyncio
import os
import shutil
import sys
import tempfile

COMMENT = "paasd-gateway"
INPUT = "INPUT"
FORWARD = "DOCKER-USER"  # of FORWARD the only part that stays before the rules Docker adds for each network
LINK_LOCAL = "169.254.0.0/16"
EXPOSED = "Dynos and builds can reach this host's own services through their gateway"


class Firewall:
    """The rules for a pool of dyno subnets and the bridge that builds run on. Nothing is remembered: each call looks.

    Only NEW connections are dropped: replies to what the host began (the router, probes) must pass.
    """

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._closing = asyncio.Lock()  # two at once would both add a missing rule

    async def close(self, build_bridge: str | None) -> None:
        """All rules in force when this returns, as far as we may. `build_bridge` is an interface ("docker0")."""
        program = iptables_program()
        if sys.platform != "linux" or program is None or os.geteuid() != 0:
            return
        async with self._closing:
            for rule in self._rules(build_bridge):
                if await run_iptables(program, "-C", *rule) is not None:
                    await run_iptables(program, "-I", *rule)

    async def problem(self, build_bridge: str | None) -> str | None:
        """None when all rules are in force, else a sentence saying why not. Changes nothing."""
        rules = self._rules(build_bridge)
        if sys.platform != "linux":
            return None  # the engine runs in a virtual machine, and the gateway is that machine's
        program = iptables_program()
        if program is None:
            return f"{EXPOSED}: iptables is not installed, so no rule can stop them; install it and restart paasd."
        if os.geteuid() != 0:
            return f"{EXPOSED} unless the firewall stops them, which only root may see to; {_by_hand(rules)}."
        for rule in rules:
            refusal = await run_iptables(program, "-C", *rule)
            if refusal is not None:
                return f"{EXPOSED}: a firewall rule is missing ({refusal}); start paasd as root, or {_by_hand([rule])}."
        return None

    def _rules(self, build_bridge: str | None) -> list[list[str]]:
        drop = ["-m", "conntrack", "--ctstate", "NEW", "-m", "comment", "--comment", COMMENT, "-j", "DROP"]
        rules = [[INPUT, "-s", self._pool, *drop], [FORWARD, "-s", self._pool, "-d", LINK_LOCAL, *drop]]
        if build_bridge is not None:
            # Builds have the host's own resolv.conf, which may name a resolver on this host; dynos have the engine's.
            rules += [[INPUT, "-i", build_bridge, "-p", kind, "!", "--dport", "53", *drop] for kind in ("tcp", "udp")]
            rules.append([FORWARD, "-i", build_bridge, "-d", LINK_LOCAL, *drop])
        return rules


def _by_hand(rules: list[list[str]]) -> str:
    return "run " + " and ".join(f"`sudo iptables -I {' '.join(rule)}`" for rule in rules)


def iptables_program() -> str | None:
    """Its path, None where it is not installed."""
    return shutil.which("iptables") or shutil.which("iptables", path="/usr/sbin:/sbin")


async def run_iptables(program: str, *arguments: str, content: str = "") -> str | None:
    """One command, by the program's path and with `content` to read: None on success, else its last words."""
    with tempfile.TemporaryFile() as file:  # no pipe: uvloop fails to write to who has ended without reading
        file.write(content.encode())
        file.seek(0)
        process = await asyncio.create_subprocess_exec(
            program,
            "-w",
            "5",
            *arguments,
            stdin=file,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    _, words = await process.communicate()
    if process.returncode == 0:
        return None
    return (words.decode(errors="replace").strip().splitlines() or [f"status {process.returncode}"])[-1]
