"""What is known of one request while it is served, and the one logfmt line it leaves."""

import re
from dataclasses import dataclass

from router.codes import Code

_UNSAFE = re.compile(r"[^\x21\x23-\x5b\x5d-\x7e]")


@dataclass(slots=True)
class Call:
    """One request's record, filled in as it goes on and read once at its end. Times are the loop's, in seconds."""

    started: float
    method: str = ""
    path: str = "/"
    host: str = ""
    request_id: str = ""
    fwd: str = ""
    app: str | None = None
    app_name: str = ""
    dyno: str = ""
    connect: float | None = None
    status: int = 0
    sent: int = 0
    code: Code | None = None
    goes_on: bool = False  # as a websocket, which leaves the line
    protocol: str = "http"

    def line(self, now: float) -> str:
        """The log line, as Heroku writes it; nothing a client sends can make it two."""
        connect = "" if self.connect is None else f"{self.connect * 1000:.0f}ms"
        if self.code is None:
            opening = "at=info"
        else:
            opening = f'at={self.code.value.at} code={self.code.name} desc="{self.code.desc}"'
        return (
            f'{opening} method={self.method} path="{_quote(self.path)}" host={_quote(self.host)}'
            f' request_id={self.request_id} fwd="{_quote(self.fwd, keep=" ")}" dyno={self.dyno} connect={connect}'
            f" service={(now - self.started) * 1000:.0f}ms status={self.status} bytes={self.sent}"
            f" protocol={self.protocol}"
        )


def _quote(text: str, keep: str = "") -> str:
    def escape(match: re.Match[str]) -> str:
        char = match.group()
        if char in keep:
            return char
        return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))

    return _UNSAFE.sub(escape, text)
