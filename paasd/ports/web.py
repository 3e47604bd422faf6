"""Port Web: other people's servers, asked over HTTP without letting anybody reach into our own network."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WebReply:
    """What a server answered, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Web(Protocol):
    """Asks public addresses only, unless the settings allow others; each redirect is checked as the first URL was."""

    async def check(self, url: str) -> None:
        """InvalidParams unless the URL can be asked: http(s), and every address of its host allowed.

        A host that can't be resolved now is fine: it may be later.
        """

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int,
        seconds: float,
    ) -> WebReply:
        """The answer, whatever its status. InvalidParams as `check`; WebUnavailable when there is none, it is larger
        than `max_bytes`, or not whole within `seconds`. No message tells more of the URL than its host."""

    def chunks(self, url: str, *, seconds: float) -> AsyncGenerator[bytes]:
        """What a GET of the URL brings, as it comes. WebUnavailable, also unless it answers with 200; InvalidParams."""

    async def download(self, url: str, target: Path, *, max_bytes: int, seconds: float) -> int:
        """What a GET of the URL brings, written to a file; the status. All else as `fetch`."""
