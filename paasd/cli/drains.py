"""`drains` and its kin: where the app's log is sent to as it comes."""

from __future__ import annotations

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Running"


@click.command(cls=PaasCommand, name="drains", section=SECTION, example="paas drains")
@json_option
@app_options
def list_drains(session: Session, app: str, as_json: bool) -> None:
    """List where the app's log is sent to."""
    found = session.api.get_all(path("apps", app, "log-drains"))
    if as_json:
        output.print_json(found)
    elif not found:
        output.write([output.app_name(app), " has no log drains."])
        click.echo("Use paas drains:add URL to add one.")
    else:
        output.header("Drains")
        for one in found:
            click.echo(f"{one['url']} ({one['token']})")


@click.command(
    cls=PaasCommand, name="drains:add", section=SECTION, example="paas drains:add syslog+tls://logs.example.org:6514"
)
@click.argument("url", metavar="URL")
@json_option
@app_options
def add(session: Session, app: str, url: str, as_json: bool) -> None:
    """Send the app's log to a syslog:// or https:// address."""
    made = session.api.post(path("apps", app, "log-drains"), {"url": url})
    if as_json:
        output.print_json(made)
    else:
        click.echo(f"Successfully added drain {made['url']}")


@click.command(
    cls=PaasCommand, name="drains:remove", section=SECTION, example="paas drains:remove https://logs.example.org/app"
)
@click.argument("drain", metavar="URL|TOKEN")
@json_option
@app_options
def remove(session: Session, app: str, drain: str, as_json: bool) -> None:
    """Send the app's log there no more."""
    gone = session.api.delete(path("apps", app, "log-drains", drain))
    if as_json:
        output.print_json(gone)
    else:
        click.echo(f"Successfully removed drain {gone['url']}")


COMMANDS = (list_drains, add, remove)
