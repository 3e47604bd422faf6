"""The colours of Heroku's log lines. Takes text that is already safe to show."""

from __future__ import annotations

import re
import zlib

import click

HEAD = re.compile(r"^(?P<at>\S+) (?P<source>[\w.-]+)\[(?P<dyno>[\w.-]+)\]: ?(?P<message>.*)$")

_FIXED = {"run": "yellow", "router": "green", "web": "cyan", "api": "magenta"}
_OTHERS = ("blue", "bright_green", "bright_cyan", "bright_magenta", "bright_yellow", "bright_blue")
_STATES = {"complete": "green", "up": "green", "starting": "cyan", "down": "red", "crashed": "red"}
_FIELDS = {"code": "red", "method": "magenta", "path": "green", "dyno": "cyan"}
_FIELD = re.compile(r'([\w-]+)=("[^"]*"|\S*)')


def colored(line: str) -> str:
    """The line with the head in its process's colour and Heroku's own messages picked out."""
    head = HEAD.match(line)
    if not head:
        return line
    process = head["dyno"].partition(".")[0]
    color = _FIXED.get(process) or _OTHERS[zlib.crc32(process.encode()) % len(_OTHERS)]
    message = head["message"]
    if head["source"] == "heroku":
        message = _router(message) if process == "router" else _platform(message)
    start = line[: head.start("message")]
    return click.style(start.rstrip(), fg=color) + " " + message


def _router(message: str) -> str:
    def field(match: re.Match[str]) -> str:
        name, value = match.groups()
        return click.style(f"{name}=", fg="bright_black") + click.style(value, fg=_look(name, value))

    return _FIELD.sub(field, message)


def _look(name: str, value: str) -> str | None:
    if name == "status":
        return _status(value)
    if name in ("connect", "service"):
        return _milliseconds(value)
    if name == "at" and value == "error":
        return "red"
    return _FIELDS.get(name, "bright_black")


def _platform(message: str) -> str:
    if message.startswith(("Build failed", "Error", "Stopping all processes")):
        return click.style(message, fg="red")
    if message == "Build succeeded":
        return click.style(message, fg="green")
    message = re.sub(r"(`.+`)", lambda m: click.style(m[1], bold=True), message)
    message = re.sub(
        r"(State changed from )(\w+)( to )(\w+)",
        lambda m: m[1] + _state(m[2]) + m[3] + _state(m[4]),
        message,
    )
    message = re.sub(
        r"(Process exited with status )(\d+)",
        lambda m: m[1] + click.style(m[2], fg="green" if m[2] == "0" else "red"),
        message,
    )
    return re.sub(r"\b(Release )(v\d+)\b", lambda m: m[1] + click.style(m[2], fg="magenta"), message)


def _state(word: str) -> str:
    return click.style(word, fg=_STATES.get(word))


def _status(value: str) -> str | None:
    return {"2": "green", "3": "cyan", "4": "yellow", "5": "red"}.get(value[:1])


def _milliseconds(value: str) -> str | None:
    number = re.match(r"\d+", value)
    if not number:
        return None
    took = int(number[0])
    return "green" if took < 100 else "cyan" if took < 500 else "yellow" if took < 5000 else "red"
