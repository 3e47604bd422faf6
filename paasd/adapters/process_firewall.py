"""The firewall rules that keep apps' own users from the API, from what only this machine may hear, and from answering
at the ports of each other's dynos.

Dynos and builds share this machine's network; where each app has a user, the kernel tells them by it. The rules carry
the comment `paasd-process-<home>`; whoever takes paasd off the machine removes them by that, and then the chain
`paasd-<home>`.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from paasd.adapters.docker_firewall import LINK_LOCAL, iptables_program, run_iptables
from paasd.adapters.process_dynos import PORTS

OUTPUT = "OUTPUT"
OPENING = ["--tcp-flags", "SYN", "SYN"]  # of whoever connects, and of the answer without which nobody is connected


class UserFirewall:
    """The rules for one home's users. Nothing is remembered but whether there are any: each call looks."""

    def __init__(
        self,
        home: str,
        users: Sequence[range],
        api: int | None,
        ports: Callable[[], Mapping[int, int]] | None = None,
    ) -> None:
        """`api`: the port of the API, None for none; `ports`: those that dynos were told, with their users."""
        self._home = home
        self._users = users
        self._api = api
        self._ports = ports
        self._chain = f"paasd-{home}"
        self._kept: Mapping[int, int] | None = None  # the ports in the chain; None: it is not ours to write yet
        self._closing = asyncio.Lock()  # two at once would both add a missing rule

    async def close(self) -> None:
        """All rules in force when this returns, as far as we may."""
        program = iptables_program()
        if program is None or os.geteuid() != 0:
            return
        async with self._closing:
            await self._write_ports(program)
            for rule in self._rules():
                if await run_iptables(program, "-C", *rule) is not None:
                    await run_iptables(program, "-I", *rule)

    async def keep_ports(self) -> None:
        """Once the rules are in force: those for the ports of now, which a dyno is about to bind."""
        program = iptables_program()
        if self._kept is None or self._ports is None or program is None:
            return
        async with self._closing:
            if self._ports() != self._kept:
                await self._write_ports(program)

    async def open(self) -> None:
        """Without them again."""
        program = iptables_program()
        if program is not None and os.geteuid() == 0:
            for rule in self._rules():
                await run_iptables(program, "-D", *rule)
            if self._ports is not None:
                self._kept = None
                for what in ("-F", "-X"):
                    await run_iptables(program, what, self._chain)

    async def problem(self) -> str | None:
        """None when they are in force, or there are no users to tell apart; else a sentence. Changes nothing."""
        if os.geteuid() != 0:
            return None
        program = iptables_program()
        if program is None:
            return "Dynos and builds can connect to the API, for which they have no token; install iptables."
        for rule in self._rules():
            if (refusal := await run_iptables(program, "-C", *rule)) is not None:
                words = f"a firewall rule is missing ({refusal})"
                return f"Dynos and builds can connect to the API, for which they have no token: {words}; start paasd."
        return None

    async def _write_ports(self, program: str) -> None:
        """The whole chain in one step, at which no packet sees a part of it. That it failed is seen by the next."""
        if self._ports is None:
            return
        ports = dict(self._ports())
        rules = "".join(
            f"-A {self._chain} -p tcp --sport {port} -m owner ! --uid-owner {user} -j DROP\n"
            for port, user in sorted(ports.items())
        )
        content = f"*filter\n:{self._chain} - [0:0]\n{rules}COMMIT\n"
        failed = await run_iptables(f"{program}-restore", "--noflush", content=content)
        self._kept = ports if failed is None else {}

    def _rules(self) -> list[list[str]]:
        return [rule for users in self._users for rule in self._rules_of(users)]

    def _rules_of(self, users: range) -> list[list[str]]:
        owner = ["-m", "owner", "--uid-owner", f"{users.start}-{users.stop - 1}"]
        ending = ["-m", "comment", "--comment", f"paasd-process-{self._home}", "-j", "REJECT"]
        rules = [[OUTPUT, *owner, "-d", LINK_LOCAL, *ending]]
        if self._api is not None:
            here = ["-p", "tcp", "-m", "addrtype", "--dst-type", "LOCAL", "--dport", str(self._api)]
            rules.append([OUTPUT, *owner, *here, *ending])
        if self._ports is not None:
            span = f"{PORTS.start}:{PORTS.stop - 1}"
            rules.append([OUTPUT, "-p", "tcp", "--sport", span, *OPENING, *owner, *ending[:-1], self._chain])
        return rules
