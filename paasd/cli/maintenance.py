"""`maintenance`, `maintenance:on` and `maintenance:off`."""

from __future__ import annotations

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Running"


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


@click.command(cls=PaasCommand, name="maintenance:on", section=SECTION, example="paas maintenance:on")
@json_option
@app_options
def turn_on(session: Session, app: str, as_json: bool) -> None:
    """Show visitors a maintenance page; the dynos go on."""
    _turn(session, app, True, as_json)


@click.command(cls=PaasCommand, name="maintenance:off", section=SECTION, example="paas maintenance:off")
@json_option
@app_options
def turn_off(session: Session, app: str, as_json: bool) -> None:
    """Let visitors in again."""
    _turn(session, app, False, as_json)


def _turn(session: Session, app: str, wanted: bool, as_json: bool) -> None:
    verb = "Enabling" if wanted else "Disabling"
    with output.action(f"{verb} maintenance mode for ", Styled(app, output.APP)):
        found = session.api.patch(path("apps", app), {"maintenance": wanted})
    if as_json:
        output.print_json({"maintenance": found["maintenance"]})


COMMANDS = (show, turn_on, turn_off)
