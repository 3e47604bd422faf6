"""Port Outlets: the ways out for an app's lines, to servers of other people."""

from collections.abc import Callable, Sequence
from typing import Protocol

from paasd.domain.drain import Drain, Entry


class Refused(Exception):
    """The receiver will never take these lines; `status` is what it said (HTTP)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Outlet(Protocol):
    """One drain's way out. Not for two tasks at once."""

    async def send(self, entries: Sequence[Entry]) -> None:
        """Deliver these lines, in order. When it returns, an HTTP receiver has said that it has them; of a syslog
        receiver the machine has, which is all that syslog tells. WebUnavailable: none, some or all of them arrived.
        InvalidParams: the address is not allowed any more. Refused: only these lines are wrong."""

    def lost_after(self) -> int | None:
        """The number after which a receiver that broke off may have lost what it had; None when nothing is in doubt.
        What is asked once is not told again."""

    async def close(self) -> None: ...


class Outlets(Protocol):
    """Makes them. Private addresses are treated as the port Web does."""

    async def check(self, url: str) -> None:
        """InvalidParams unless it is a drain's URL and every address of its host is allowed."""

    def open(self, drain: Drain, broken: Callable[[], None]) -> Outlet:
        """Connects when it is first used. `broken` is called when the receiver hangs up."""
