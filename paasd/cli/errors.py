"""What goes wrong on the user's side. Every message is one sentence that says what happened and what to do."""

from __future__ import annotations

import sys
from typing import IO, Any

BAR = " ›   "
COLORS = {"red": 31, "yellow": 33}


class CliError(Exception):
    """A failure to show to the user: exit code 1. (Not click's, so that git's question is answered without click.)"""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def show(self, file: IO[Any] | None = None) -> None:
        print_error(self.message, file=file)


class ApiError(CliError):
    """The API answered with an error. `status` is the HTTP status, `id` Heroku's word for it such as `not_found`."""

    def __init__(
        self, status: int, error_id: str, message: str, *, app: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.id = error_id
        self.app = app
        self.url = url

    def show(self, file: IO[Any] | None = None) -> None:
        notes = [f"App: {self.app}"] if self.app else []
        notes += [f"See {self.url}"] if self.url else []
        notes += [f"Error ID: {self.id}"] if self.id else []
        print_error(self.message, notes, file=file)


class Unreachable(CliError):
    """Nothing answered, or the connection broke: it may be worth another try."""


def print_error(message: str, notes: list[str] | None = None, file: IO[Any] | None = None) -> None:
    """Print to stderr in Heroku's form: each line behind a bar, notes such as the error id after an empty one."""
    lines = [*f"Error: {message}".splitlines(), *(["", *notes] if notes else [])]
    _print(lines, "red", file)


def print_warning(message: str) -> None:
    """Print to stderr in Heroku's form, as an error but yellow."""
    _print(f"Warning: {message}".splitlines(), "yellow", None)


def _print(lines: list[str], color: str, file: IO[Any] | None) -> None:
    stream = file or sys.stderr
    bar = f"\x1b[{COLORS[color]}m{BAR}\x1b[0m" if stream.isatty() else BAR
    for line in lines:
        stream.write((bar + _visible(line)).rstrip() + "\n")
    stream.flush()


def _visible(line: str) -> str:
    """A server's words must not steer the terminal."""
    return "".join(c if c == "\t" or c.isprintable() else "?" for c in line)
