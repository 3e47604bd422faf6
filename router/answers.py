"""The router's own answers: which page, in the form the client asked for. Whatever is inserted is escaped."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from http import HTTPStatus
from pathlib import Path

from router.codes import Code, Fault

_PAGES = Path(__file__).parent / "pages"
_PAGE_OF = {Code.H80: "maintenance", Code.H81: "blank", Code.H14: "no_dynos", Code.H10: "crashed", Code.H20: "booting"}
_TITLES = {
    "maintenance": "Down for maintenance",
    "blank": "Nothing here yet",
    "no_dynos": "No web dyno is running",
    "crashed": "This app crashed",
    "booting": "Still starting up",
    "no_such_app": "There is no app here",
    "error": "Something went wrong",
}
_FORMS = (("text", "html"), ("application", "json"), ("text", "plain"))
_RETRY_AFTER = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What to tell the client: a status, an id for programs, a sentence for people, a page for browsers.

    `own` is the app's own page, for browsers; `back_in` the seconds until maintenance ends, where that is known.
    """

    status: int
    error_id: str
    message: str
    page: str
    code: str = ""
    own: bytes | None = None
    back_in: int | None = None

    @classmethod
    def of(cls, fault: Fault) -> "Answer":
        """The answer to a fault."""
        page = _PAGE_OF.get(fault.code, "error")
        return cls(fault.status, fault.code.value.error_id, fault.message, page, fault.code.name)


class Answers:
    """Renders answers from the pages, which are read once."""

    def __init__(self) -> None:
        layout = (_PAGES / "layout.html").read_text("utf-8")
        self._pages = {
            page: layout.replace("{{content}}", (_PAGES / f"{page}.html").read_text("utf-8")).replace(
                "{{title}}", title
            )
            for page, title in _TITLES.items()
        }

    def render(
        self, answer: Answer, *, accept: str, app: str, request_id: str, to_head: bool, keep_alive: bool
    ) -> tuple[bytes, int]:
        """Head and body as bytes to send, and the number of body bytes among them."""
        form = _preferred(accept)
        retry_after = answer.back_in or _RETRY_AFTER
        if form == "html":
            kind = "text/html; charset=utf-8"
            body = answer.own if answer.own is not None else self._page(answer, app, request_id).encode()
        elif form == "json":
            kind = "application/json"
            said = {"id": answer.error_id, "message": answer.message, "code": answer.code or None}
            more = {} if answer.back_in is None else {"retry_after": answer.back_in}
            body = json.dumps({**said, **more}).encode() + b"\n"
        else:
            code = f" ({answer.code})" if answer.code else ""
            kind, body = "text/plain; charset=utf-8", f"{answer.message}{code}\n".encode()
        lines = [f"Content-Type: {kind}", "Vary: Accept", "X-Content-Type-Options: nosniff"]
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append(f"Retry-After: {retry_after}")
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
        data = bare(answer.status, body, *lines, to_head=to_head, keep_alive=keep_alive)
        return data, 0 if to_head else len(body)

    def _page(self, answer: Answer, app: str, request_id: str) -> str:
        page = self._pages[answer.page]
        known = {"message": answer.message, "app": app or "This app", "request_id": request_id}
        if answer.back_in is not None:
            known["back"] = f"It should be back {_when(answer.back_in)}."
        else:
            known["back"] = "Try again in a few minutes."
        known["code"] = f"{answer.code or answer.error_id.replace('_', ' ')} · {answer.status}"
        for name, value in known.items():
            page = page.replace("{{" + name + "}}", escape(value).replace("{{", "&#123;&#123;"))
        return page


def bare(status: int, body: bytes, *lines: str, to_head: bool = False, keep_alive: bool) -> bytes:
    """An answer of our own as bytes: these header lines among ours, and the body unless HEAD asked."""
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Via: 1.1 paasd-router",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *lines,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + (b"" if to_head else body)


def _when(seconds: int) -> str:
    """ "at 14:30 UTC, in about 25 minutes": the page knows nothing of its reader's clock."""
    minutes = -(-seconds // 60)
    at = datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=seconds)
    if seconds < 60:
        return "in less than a minute"
    if minutes <= 90:
        return f"at {at:%H:%M} UTC, in about {minutes} minute{'s' if minutes > 1 else ''}"
    if minutes < 24 * 60:
        return f"at {at:%H:%M} UTC, in about {round(minutes / 60)} hours"
    return f"on {at:%A, %d %B} at {at:%H:%M} UTC"


def _preferred(accept: str) -> str:
    """Our form that `accept` wants most: by quality, then by how exactly it was named; html if all are one."""
    ranked = [(_rank(accept, major, minor), -place, minor) for place, (major, minor) in enumerate(_FORMS)]
    return max(ranked)[2]


def _rank(accept: str, major: str, minor: str) -> tuple[float, int]:
    best = (0, 0.0)
    for part in (accept or "*/*").lower().split(",")[:32]:
        media, *params = (piece.strip() for piece in part.split(";"))
        wanted_major, _, wanted_minor = media.partition("/")
        same_family = minor == "json" and wanted_minor.endswith("+json") and wanted_major == major
        if wanted_major == major and (wanted_minor == minor or same_family):
            exactness = 3
        elif wanted_major == major and wanted_minor == "*":
            exactness = 2
        elif media == "*/*":
            exactness = 1
        else:
            continue
        best = max(best, (exactness, _quality(params)))
    return best[1], best[0]


def _quality(params: list[str]) -> float:
    for param in params:
        if param.startswith("q="):
            try:
                return min(max(float(param[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
