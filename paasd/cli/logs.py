"""`logs`: an app's log lines, once or for as long as they come. Their text is cleaned before it is shown."""

from __future__ import annotations

import codecs
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import Api, Refused, path
from paasd.cli.errors import CliError, Unreachable, print_warning
from paasd.cli.log_colors import HEAD, colored
from paasd.cli.session import PaasCommand, Session, app_options, json_option
from paasd.cli.settings import colors_wanted
from paasd.cli.text import printable

EVENTS = "text/event-stream"
DEFAULT_LINES = 100
SPAN = re.compile(r"([0-9]{1,7})([smhd])")
UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


@dataclass
class Position:
    """How far a log has been read: where to take it up again, and how long to wait before that."""

    last_id: str | None = None
    retry: float | None = None


@click.command(cls=PaasCommand, name="logs", section="Running", example="paas logs --tail")
@click.option("-n", "--num", type=click.IntRange(1), help="How many lines (100; all with --since, --release).")
@click.option("-t", "--tail", is_flag=True, help="Go on showing lines as they come.")
@click.option("-s", "--source", metavar="NAME", help="Only lines of this source: app or heroku.")
@click.option("-d", "--dyno", "--dyno-name", "--ps", metavar="NAME", help="Only lines of this dyno, as web.1.")
@click.option("-p", "--process-type", metavar="TYPE", help="Only lines of this process type, as web.")
@click.option("-g", "--grep", metavar="TEXT", help="Only lines that hold this text, letter for letter.")
@click.option("--since", metavar="WHEN", help="Only lines since then: 30s, 10m, 2h, 1d, or 2026-11-23T06:00:00Z.")
@click.option("--release", metavar="VERSION", help="Only lines of this release, as v4.")
@json_option
@app_options
def logs(
    session: Session,
    app: str,
    num: int | None,
    tail: bool,
    source: str | None,
    dyno: str | None,
    process_type: str | None,
    grep: str | None,
    since: str | None,
    release: str | None,
    as_json: bool,
) -> None:
    """Show the app's recent log lines."""
    lines = num if num is not None else None if since or release else DEFAULT_LINES
    request: dict[str, Any] = {"lines": lines, "tail": tail}
    chosen = {"source": source, "dyno": dyno or process_type, "grep": grep, "release": release}
    request.update({name: value for name, value in chosen.items() if value})
    request.update({"since": _moment(since)} if since else {})
    shown = _followed(session.api, app, request) if tail else _recent(session.api, app, request)
    for line in shown:
        _show(line, as_json)


def _moment(since: str) -> str:
    """A span before now, or a time (of this machine's zone, if it names none), as the API takes it."""
    if (span := SPAN.fullmatch(since.strip())) is not None:
        return (datetime.now(UTC) - timedelta(seconds=int(span[1]) * UNITS[span[2]])).isoformat()
    try:
        return datetime.fromisoformat(since.strip()).astimezone(UTC).isoformat()
    except ValueError:
        raise click.BadParameter("write 30s, 10m, 2h, 1d, or a time such as 2026-11-23T06:00:00Z.") from None


def _recent(api: Api, app: str, request: dict[str, Any]) -> Iterator[str]:
    url = api.post(path("apps", app, "log-sessions"), request)["logplex_url"]
    with api.stream(url, accept="text/plain") as chunks:
        yield from _lines(chunks)


def _followed(api: Api, app: str, request: dict[str, Any]) -> Iterator[str]:
    """Events, taken up again after the last one seen whenever the connection ends."""
    url, position, pause = None, Position(), FIRST_PAUSE
    connected = away = expired = False
    while True:
        try:
            url = url or api.post(path("apps", app, "log-sessions"), request)["logplex_url"]
            with api.stream(url, accept=EVENTS, last_event_id=position.last_id) as chunks:
                connected, away, expired, pause = True, False, False, FIRST_PAUSE
                yield from _events(chunks, position)
        except Refused as refusal:
            if refusal.status == 204:
                return
            if refusal.status not in (403, 404) or expired:
                raise CliError("The log stream was refused: run the command again.") from refusal
            url, expired = None, True  # such an address holds for some hours: ask for a new one, once
        except Unreachable:
            if not connected:
                raise
            if not away:
                print_warning("The connection to the daemon is lost; its log goes on here when it is back.")
            away = True
        time.sleep(pause if position.retry is None or away else min(pause, position.retry))
        pause = min(LONGEST_PAUSE, pause * 2)


def _events(chunks: Iterable[bytes], position: Position) -> Iterator[str]:
    """The data of server-sent events; each event's id is noted before its lines are given out."""
    data: list[str] = []
    event_id: str | None = None
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if event_id is not None:
                position.last_id = event_id
            yield from data
            data, event_id = [], None
        elif name == "data":
            data.append(value)
        elif name == "id":
            event_id = value
        elif name == "retry" and value.isdigit():
            position.retry = int(value) / 1000


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    for chunk in chunks:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line.removesuffix("\r") for line in whole)
    if rest:
        yield rest


def _show(line: str, as_json: bool) -> None:
    text = printable(line)
    if as_json:
        head = HEAD.match(text)
        known = head.groupdict() if head else {"at": None, "source": None, "dyno": None, "message": text}
        click.echo(json.dumps(known, ensure_ascii=False))
    else:
        click.echo(colored(text) if output.on_terminal() and colors_wanted() else text)


COMMANDS = (logs,)
