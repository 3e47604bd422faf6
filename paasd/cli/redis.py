"""`redis:*`: a Redis add-on from the shell, through the daemon."""

from __future__ import annotations

import sys

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.databases import REDIS, find
from paasd.cli.output import Styled
from paasd.cli.pg import converse
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Data"


@click.command(cls=PaasCommand, name="redis:info", aliases=("redis",), section=SECTION, example="paas redis:info")
@click.argument("name", required=False)
@json_option
@app_options
def info(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """Show what a Redis is like now."""
    one = find(session, app, name, REDIS)
    found = session.api.get(path("redis", "v0", "databases", one["addon"]["name"]))
    if as_json:
        output.print_json({key: value for key, value in found.items() if key != "resource_url"})
        return
    output.header(f"{one['addon']['name']} ({one['name']}_URL)")
    output.fields([(row["name"], ", ".join(row["values"])) for row in found["info"]])


@click.command(cls=PaasCommand, name="redis:cli", section=SECTION, example="echo PING | paas redis:cli")
@click.argument("name", required=False)
@app_options
def cli(session: Session, app: str, name: str | None) -> None:
    """Talk to a Redis with redis-cli, on a terminal or from stdin."""
    sys.exit(converse(session, find(session, app, name, REDIS)["addon"], "redis-cli", {}))


@click.command(cls=PaasCommand, name="redis:credentials", section=SECTION, example="paas redis:credentials")
@click.argument("name", required=False)
@click.option("--reset", "renew", is_flag=True, help="Make a new password; each app gets one release.")
@json_option
@app_options
def credentials(session: Session, app: str, name: str | None, renew: bool, as_json: bool) -> None:
    """Print how an app reaches a Redis, with its password."""
    one = find(session, app, name, REDIS)
    where = path("redis", "v0", "databases", one["addon"]["name"])
    if renew:
        with output.action("Resetting credentials for ", Styled(one["addon"]["name"], output.NAME)):
            session.api.post(f"{where}/credentials_rotation", {})
    found = session.api.get(where)
    if as_json:
        output.print_json({"url": found["resource_url"]})
    elif not renew:
        click.echo(found["resource_url"])


COMMANDS = (info, cli, credentials)
