"""The router's own answers: which page, in the form the client asked for. Whatever is inserted is escaped."""

import json
from dataclasses import dataclass
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
    """What to tell the client: a status, an id for programs, a sentence for people, a page for browsers."""

    status: int
    error_id: str
    message: str
    page: str
    code: str = ""

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
        if form == "html":
            kind, text = "text/html; charset=utf-8", self._page(answer, app, request_id)
        elif form == "json":
            kind = "application/json"
            text = json.dumps({"id": answer.error_id, "message": answer.message, "code": answer.code or None}) + "\n"
        else:
            code = f" ({answer.code})" if answer.code else ""
            kind, text = "text/plain; charset=utf-8", f"{answer.message}{code}\n"
        body = text.encode()
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Vary: Accept",
            "X-Content-Type-Options: nosniff",
            "Via: 1.1 paasd-router",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
        ]
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append(f"Retry-After: {_RETRY_AFTER}")
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return (head, 0) if to_head else (head + body, len(body))

    def _page(self, answer: Answer, app: str, request_id: str) -> str:
        page = self._pages[answer.page]
        known = {"message": answer.message, "app": app or "This app", "request_id": request_id}
        known["code"] = f"{answer.code or 'Error'} · {answer.status}"
        for name, value in known.items():
            page = page.replace("{{" + name + "}}", escape(value).replace("{{", "&#123;&#123;"))
        return page


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
