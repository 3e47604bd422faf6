"""`maintenance`, `maintenance:on`, `:off`, `:bypass`, and the pages shown meanwhile and for errors."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Running"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.command(cls=PaasCommand, name="maintenance", section=SECTION, example="paas maintenance")
@json_option
@app_options
def show(session: Session, app: str, as_json: bool) -> None:
    """Say whether the app is in maintenance: on or off."""
    found = session.api.get(path("apps", app))
    if as_json:
        output.print_json({"maintenance": found["maintenance"]})
    else:
        click.echo("on" if found["maintenance"] else "off")


@click.command(cls=PaasCommand, name="maintenance:info", section=SECTION, example="paas maintenance:info -a shop")
@json_option
@app_options
def info(session: Session, app: str, as_json: bool) -> None:
    """Say how the app is kept in maintenance, and which pages are its own."""
    found = session.api.get(path("apps", app, "maintenance"))
    if as_json:
        output.print_json(found)
        return
    click.echo("on" if found["maintenance"] else "off")
    for name, value in (
        ("until", found["until"]),
        ("pause", f"{found['pause']:g} s" if found["pause"] else None),
        ("allow", ", ".join(found["allow"])),
        ("health path", found["health_path"]),
    ):
        if value:
            click.echo(f"{name}: {value}")
    for page in found["pages"]:
        click.echo(f"{page['kind']} page: {page['size']} bytes, {page['source']}, {page['updated_at']}")


@click.command(
    cls=PaasCommand,
    name="maintenance:on",
    section=SECTION,
    example="paas maintenance:on --until 30m",
)
@click.option("--until", metavar="TIME", help="When it ends by itself: 30m, 2h, 14:30 (its next), or ISO 8601.")
@click.option("--pause", type=float, metavar="SECONDS", help="Let requests wait so long for the end; then the page.")
@click.option("--allow", multiple=True, metavar="CIDR", help="Let this network in. May be given again.")
@click.option("--health-path", metavar="PATH", help='Answer it 200 meanwhile, for balancers; "" for app.json\'s own.')
@json_option
@app_options
def turn_on(
    session: Session,
    app: str,
    until: str | None,
    pause: float | None,
    allow: tuple[str, ...],
    health_path: str | None,
    as_json: bool,
) -> None:
    """Show visitors a maintenance page; the dynos go on."""
    given: dict[str, Any] = {
        "until": _time(until, datetime.now().astimezone()) if until is not None else None,
        "pause": pause,
        "allow": list(allow) or None,
        "health_path": health_path,
    }
    wish = {name: value for name, value in given.items() if value is not None}
    if not wish:
        _turn(session, app, True, as_json)
        return
    with output.action("Enabling maintenance mode for ", Styled(app, output.APP)):
        found = session.api.patch(path("apps", app, "maintenance"), {"maintenance": True, **wish})
    if as_json:
        output.print_json(found)


@click.command(cls=PaasCommand, name="maintenance:off", section=SECTION, example="paas maintenance:off")
@json_option
@app_options
def turn_off(session: Session, app: str, as_json: bool) -> None:
    """Let visitors in again."""
    _turn(session, app, False, as_json)


@click.command(cls=PaasCommand, name="maintenance:bypass", section=SECTION, example="paas maintenance:bypass --for 2h")
@click.option("--for", "length", metavar="TIME", default="1h", help="How long it is good: 30m, 2h, 7d (default: 1h).")
@click.option("--path", "where", metavar="PATH", default="/", help="The page to open.")
@json_option
@app_options
def bypass(session: Session, app: str, length: str, where: str, as_json: bool) -> None:
    """Print a link that lets its bearer in, until it or maintenance ends."""
    seconds = _length(length)
    if seconds is None:
        raise CliError(f"{length} is no length of time: write 30m, 2h or 7d.")
    wanted = {"seconds": seconds.total_seconds(), "path": where}
    made = session.api.post(path("apps", app, "maintenance", "bypass"), wanted)
    if as_json:
        output.print_json(made)
    else:
        click.echo(made["url"])


@click.command(
    cls=PaasCommand, name="maintenance:page", section=SECTION, example="paas maintenance:page back-soon.html"
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--clear", is_flag=True, help="Take the app's own page away.")
@json_option
@app_options
def page(session: Session, app: str, file: Path | None, clear: bool, as_json: bool) -> None:
    """Show this HTML (256 kB at most) during maintenance, instead of ours."""
    _page(session, app, "maintenance", file, clear, as_json)


@click.command(
    cls=PaasCommand, name="maintenance:error-page", section=SECTION, example="paas maintenance:error-page oops.html"
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--clear", is_flag=True, help="Take the app's own page away.")
@json_option
@app_options
def error_page(session: Session, app: str, file: Path | None, clear: bool, as_json: bool) -> None:
    """Show this HTML (256 kB at most) when the app fails to answer, instead of ours."""
    _page(session, app, "error", file, clear, as_json)


def _page(session: Session, app: str, kind: str, file: Path | None, clear: bool, as_json: bool) -> None:
    if (file is None) == (not clear):
        raise CliError("Give either the HTML file of the page, or --clear.")
    where = path("apps", app, f"{kind}-page")
    if file is None:
        with output.action(f"Clearing {kind} page of ", Styled(app, output.APP)):
            found = session.api.delete(where)
    else:
        body = _read(file)
        with output.action(f"Setting {kind} page of ", Styled(app, output.APP)):
            found = session.api.put_bytes(where, body, "text/html; charset=utf-8")
    if as_json:
        output.print_json(found)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CliError(f"{file} can't be read ({error.strerror}): check its name.") from error


def _turn(session: Session, app: str, wanted: bool, as_json: bool) -> None:
    verb = "Enabling" if wanted else "Disabling"
    with output.action(f"{verb} maintenance mode for ", Styled(app, output.APP)):
        found = session.api.patch(path("apps", app), {"maintenance": wanted})
    if as_json:
        output.print_json({"maintenance": found["maintenance"]})


def _length(text: str) -> timedelta | None:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    return timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None


def _time(text: str, now: datetime) -> str:
    """What the user calls a time, as ISO 8601 in UTC. Raises CliError."""
    length = _length(text)
    at: datetime | None = now + length if length is not None else None
    if at is None:
        try:
            clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
            if clock:
                at = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
                at = at if at > now else at + timedelta(days=1)
            else:
                at = datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError) as error:
            raise CliError(f"{text} is no time: write 30m, 2h, 14:30 or 2026-01-31T14:30:00Z.") from error
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


COMMANDS = (show, info, turn_on, turn_off, bypass, page, error_page)
