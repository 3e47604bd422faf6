"""Port Probe: asks a dyno whether it serves."""

from dataclasses import dataclass
from typing import Protocol

REFUSED = "connection refused"  # the detail of a dyno with nobody at that address and port


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether a dyno answered, and if not, what happened instead ("connection refused")."""

    healthy: bool
    detail: str = ""


class Probe(Protocol):
    """Asks a dyno whether it serves."""

    async def check(
        self, address: str, port: int, path: str | None, content: str | None = None, *, timeout: float | None = None
    ) -> ProbeResult:
        """TCP accept, or HTTP 2xx/3xx at `path`, with a page that holds `content` where that is given. In `timeout`
        seconds, None: as many as usual.

        Never raises for the dyno's faults."""

    async def answers(self, address: str, port: int) -> bool:
        """Whether anything at all is answered to `HEAD /`, within seconds. Never raises for its faults."""
