"""The firewall rules that keep apps' own users from the API, and from what only this machine may hear.

Dynos and builds share this machine's network; where each app has a user, the kernel tells them by it. The rules carry
the comment `paasd-process-<home>`; whoever takes paasd off the machine removes them by that.
"""

import asyncio
import os
from collections.abc import Sequence

from paasd.adapters.docker_firewall import LINK_LOCAL, iptables_program, run_iptables

OUTPUT = "OUTPUT"


class UserFirewall:
    """The rules for one home's users. Nothing is remembered: each call looks."""

    def __init__(self, home: str, users: Sequence[range], api: int | None) -> None:
        """`api`: the port of the API, None for none."""
        self._home = home
        self._users = users
        self._api = api
        self._closing = asyncio.Lock()  # two at once would both add a missing rule

    async def close(self) -> None:
        """All rules in force when this returns, as far as we may."""
        program = iptables_program()
        if program is None or os.geteuid() != 0:
            return
        async with self._closing:
            for rule in self._rules():
                if await run_iptables(program, "-C", *rule) is not None:
                    await run_iptables(program, "-I", *rule)

    async def open(self) -> None:
        """Without them again."""
        program = iptables_program()
        if program is not None and os.geteuid() == 0:
            for rule in self._rules():
                await run_iptables(program, "-D", *rule)

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

    def _rules(self) -> list[list[str]]:
        return [rule for users in self._users for rule in self._rules_of(users)]

    def _rules_of(self, users: range) -> list[list[str]]:
        owner = ["-m", "owner", "--uid-owner", f"{users.start}-{users.stop - 1}"]
        ending = ["-m", "comment", "--comment", f"paasd-process-{self._home}", "-j", "REJECT"]
        rules = [[OUTPUT, *owner, "-d", LINK_LOCAL, *ending]]
        if self._api is not None:
            here = ["-p", "tcp", "-m", "addrtype", "--dst-type", "LOCAL", "--dport", str(self._api)]
            rules.append([OUTPUT, *owner, *here, *ending])
        return rules
