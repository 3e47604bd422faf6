"""https for apps: a certificate for each host name of the table, issued here, held by the router alone.

The router's list says what is missing, about to end, signed by an authority that is no more, or of nobody any more.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from paasd.ports import Authority, CertificateHolder
from paasd.services.background import attempt, stirred
from router.table import Certificate, CertificateChange

DEFAULT = "localhost"
DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
GOOD_FOR = timedelta(days=60)  # less than what the authority signs for: renewed a month before its end
LOOK_SECONDS = 30.0
AT_ONCE = 100


class Certificates:
    """Keeps the router's certificates as the host names want them; `hosts` gives None until they are known."""

    def __init__(
        self,
        router: CertificateHolder,
        authority: Authority,
        hosts: Callable[[], frozenset[str] | None],
        changed: asyncio.Event,
    ) -> None:
        self._router = router
        self._authority = authority
        self._hosts = hosts
        self._changed = changed

    async def keep(self) -> None:
        """For ever: whenever the table's host names change, and from time to time."""
        while True:
            self._changed.clear()
            await attempt("certificates", self.mend())
            await stirred(self._changed, LOOK_SECONDS)

    async def mend(self) -> None:
        """Issue what is missing or grows old, drop what is of nobody. Raises RouterUnavailable."""
        hosts = self._hosts()
        if hosts is None:
            return
        wanted = {DEFAULT, *(host for host in hosts if self._authority.covers(host))}
        held = await self._router.certificates()
        due = sorted(host for host in wanted if not self._is_good(held.get(host)))
        for begin in range(0, len(due), AT_ONCE):
            issued = await asyncio.to_thread(self._issue, due[begin : begin + AT_ONCE])
            await self._router.change_certificates(CertificateChange(put=issued))
        if gone := tuple(sorted(held.keys() - wanted)):
            await self._router.change_certificates(CertificateChange(drop=gone))

    def _issue(self, hosts: list[str]) -> tuple[Certificate, ...]:
        mark = f"{self._authority.name} {(datetime.now(UTC) + GOOD_FOR).isoformat()}"
        return tuple(
            Certificate(host, self._authority.issue(DEFAULT_NAMES if host == DEFAULT else [host]), mark)
            for host in hosts
        )

    def _is_good(self, mark: str | None) -> bool:
        name, _, until = (mark or "").partition(" ")
        try:
            return name == self._authority.name and datetime.fromisoformat(until) > datetime.now(UTC)
        except (ValueError, TypeError):
            return False
