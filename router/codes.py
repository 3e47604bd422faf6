"""The faults the router answers or logs with: Heroku's codes, words and statuses; one definition for page and log."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class _Words:
    desc: str
    status: int
    error_id: str
    message: str
    at: str = "error"


class Code(Enum):
    """One fault. `desc` is Heroku's, for the log; `message` is one sentence for whoever gets the answer."""

    H10 = _Words("App crashed", 503, "app_crashed", "The app crashed: its owner can read why in its logs.")
    H11 = _Words(
        "Backlog too deep", 503, "backlog_too_deep", "The app has too many requests under way: try again soon."
    )
    H12 = _Words("Request timeout", 503, "request_timeout", "The app took too long to begin an answer: try again soon.")
    H13 = _Words(
        "Connection closed without response",
        503,
        "connection_closed",
        "The app closed the connection without an answer: its owner can read why in its logs.",
    )
    H14 = _Words("No web processes running", 503, "no_web_dynos", "The app has no web dyno: its owner can start one.")
    H15 = _Words("Idle connection", 503, "idle_connection", "The connection was silent for too long: send it again.")
    H17 = _Words(
        "Poorly formatted HTTP response",
        503,
        "bad_response",
        "The app answered with something that is not HTTP: its owner can mend that.",
    )
    H18 = _Words("Server Request Interrupted", 503, "interrupted", "The app broke off its answer: try again soon.")
    H19 = _Words("Backend connection timeout", 503, "connect_timeout", "The app could not be reached: try again soon.")
    H20 = _Words("App boot timeout", 503, "booting", "The app is still starting: try again in a few seconds.")
    H21 = _Words("Backend connection refused", 503, "refused", "The app refused the connection: try again soon.")
    H22 = _Words("Connection limit reached", 503, "too_many_connections", "Too many connections: try again soon.")
    H23 = _Words(
        "Endpoint misconfigured", 503, "misconfigured", "The app's address is none: its owner can restart its dynos."
    )
    H24 = _Words("Forced close", 503, "forced_close", "The router is going down: send it again.")
    H25 = _Words(
        "HTTP Restriction", 502, "http_restriction", "The app's answer has too long a header: its owner can mend that."
    )
    H26 = _Words("Request Error", 400, "bad_request", "The request is not well-formed HTTP: mend it and send it again.")
    H27 = _Words("Client Request Interrupted", 499, "client_gone", "The client went away: send it again.", "warning")
    H28 = _Words("Client Connection Idle", 499, "client_idle", "The client was silent for too long: send it again.")
    H80 = _Words("Maintenance mode", 503, "maintenance", "The app is down for maintenance: try again soon.", "info")
    H81 = _Words("Blank app", 502, "blank_app", "Nothing is deployed to this app yet: push to it.", "info")
    H99 = _Words("Platform error", 503, "platform_error", "The router itself failed: try again soon.")

    @property
    def desc(self) -> str:
        return self.value.desc

    @property
    def status(self) -> int:
        return self.value.status


class Fault(Exception):
    """A request ends here with `code`; `status` and `message` where they differ from the code's own."""

    def __init__(self, code: Code, message: str | None = None, status: int | None = None) -> None:
        super().__init__(message or code.value.message)
        self.code = code
        self.status = status or code.status
        self.message = message or code.value.message
