"""`pg:*`: a PostgreSQL add-on from the shell. All of it goes through the daemon, so that no port is exposed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from paasd.cli import attach, output
from paasd.cli.client import path
from paasd.cli.databases import attachments, confirm, database, find
from paasd.cli.errors import CliError, print_warning
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Data"
POLL_SECONDS = 0.5
UNKNOWN_STATUS = 255
ACTIVE = (
    "SELECT pid, state, application_name AS source, usename AS username, age(now(), xact_start) AS running_for, "
    "xact_start AS transaction_start, wait_event IS NOT NULL AS waiting, query FROM pg_stat_activity "
    "WHERE query <> '<insufficient privilege>'{idle} AND pid <> pg_backend_pid() ORDER BY query_start DESC"
)


@click.command(cls=PaasCommand, name="pg:info", aliases=("pg",), section=SECTION, example="paas pg:info")
@click.argument("name", required=False)
@json_option
@app_options
def info(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """Show what databases are like now."""
    found = [find(session, app, name)] if name else attachments(session, app, "heroku-postgresql")
    shown: dict[str, dict[str, Any]] = {}
    for one in found:
        known = shown.setdefault(one["addon"]["id"], {**session.api.get(database(one["addon"])), "config_vars": []})
        known["config_vars"].append(f"{one['name']}_URL")
    if as_json:
        output.print_json(
            [{key: value for key, value in one.items() if key != "resource_url"} for one in shown.values()]
        )
        return
    if not shown:
        click.echo(f"{app} has no heroku-postgresql databases.")
    for one in shown.values():
        output.header(", ".join(one["config_vars"]))
        rows = [(row["name"], ", ".join(row["values"])) for row in one["info"] if row["values"]]
        output.fields([*rows, ("Add-on", one["name"])])
        click.echo()


@click.command(
    cls=PaasCommand, name="pg:psql", aliases=("psql",), section=SECTION, example="paas pg:psql -c 'SELECT 1'"
)
@click.argument("name", required=False)
@click.option("-c", "--command", metavar="SQL", help="Run this and end.")
@click.option("-f", "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Run this file.")
@app_options
def psql(session: Session, app: str, name: str | None, command: str | None, file: Path | None) -> None:
    """Talk SQL to a database: on a terminal, from stdin, or -c; ends with psql's exit status."""
    one = find(session, app, name)
    click.echo(f"--> Connecting to {one['addon']['name']}", err=True)
    if file is not None:
        _stdin_from(file)
    sys.exit(converse(session, one["addon"], "psql", {} if command is None else {"command": command}))


@click.command(cls=PaasCommand, name="pg:ps", section=SECTION, example="paas pg:ps")
@click.argument("name", required=False)
@click.option("-v", "--verbose", is_flag=True, help="Idle connections, too.")
@app_options
def ps(session: Session, app: str, name: str | None, verbose: bool) -> None:
    """Show the queries that run."""
    sql = ACTIVE.format(idle="" if verbose else " AND state <> 'idle'")
    sys.exit(converse(session, find(session, app, name)["addon"], "psql", {"command": sql}))


@click.command(cls=PaasCommand, name="pg:kill", section=SECTION, example="paas pg:kill 4711")
@click.argument("pid", type=click.IntRange(1, 2**31 - 1))
@click.argument("name", required=False)
@click.option("-f", "--force", is_flag=True, help="End its connection, too.")
@app_options
def kill(session: Session, app: str, pid: int, name: str | None, force: bool) -> None:
    """Stop a query."""
    sql = f"SELECT {'pg_terminate_backend' if force else 'pg_cancel_backend'}({pid})"
    sys.exit(converse(session, find(session, app, name)["addon"], "psql", {"command": sql}))


@click.command(cls=PaasCommand, name="pg:killall", section=SECTION, example="paas pg:killall")
@click.argument("name", required=False)
@json_option
@app_options
def killall(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """End all connections to a database."""
    one = find(session, app, name)
    with output.action("Terminating connections for all credentials"):
        session.api.post(database(one["addon"], "connection_reset"))
    _tell(one, as_json)


@click.command(cls=PaasCommand, name="pg:wait", section=SECTION, example="paas pg:wait")
@click.argument("name", required=False)
@json_option
@app_options
def wait(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """Wait until a database can be used."""
    one = find(session, app, name)
    while (status := session.api.get(database(one["addon"], "wait_status")))["waiting?"]:
        if status["message"] == "deprovisioned":
            raise CliError(f"{one['addon']['name']} is no more: see `paas addons -a {app}`.")
        time.sleep(POLL_SECONDS)
    _tell(one, as_json)


@click.command(cls=PaasCommand, name="pg:reset", section=SECTION, example="paas pg:reset --confirm shop")
@click.argument("name", required=False)
@click.option("-c", "--confirm", "confirmed", metavar="APP", help="The app's name, to be asked nothing.")
@click.option("-e", "--extensions", metavar="NAMES", help="Extensions to make afterwards, with commas.")
@json_option
@app_options
def reset(
    session: Session, app: str, name: str | None, confirmed: str | None, extensions: str | None, as_json: bool
) -> None:
    """Delete all data of a database."""
    one = find(session, app, name)
    confirm(app, confirmed, f"Destructive action: {one['addon']['name']} will lose all of its data")
    with output.action("Resetting ", Styled(one["addon"]["name"], output.NAME)):
        session.api.put(database(one["addon"], "reset"), {"extensions": split(extensions)})
    _tell(one, as_json)


@click.command(cls=PaasCommand, name="pg:promote", section=SECTION, example="paas pg:promote HEROKU_POSTGRESQL_RED")
@click.argument("name")
@json_option
@app_options
def promote(session: Session, app: str, name: str, as_json: bool) -> None:
    """Make a database the one of DATABASE_URL; the one before keeps another name."""
    one = find(session, app, name)
    found = attachments(session, app, "heroku-postgresql")
    current = next((each for each in found if each["name"] == "DATABASE"), None)
    if current is not None and current["addon"]["id"] == one["addon"]["id"]:
        raise CliError(f"{one['addon']['name']} is already promoted on {app}.")
    attached = path("addon-attachments")
    if current is not None and not _has_other(found, current):
        with output.action("Ensuring an alternate alias for existing DATABASE_URL") as step:
            made = session.api.post(attached, _attachment(app, current["addon"]))
            step.done(f"{made['name']}_URL")
    with output.action(f"Promoting {one['addon']['name']} to DATABASE_URL on ", Styled(app, output.APP)):
        made = session.api.post(attached, {**_attachment(app, one["addon"]), "name": "DATABASE"})
    _tell(made, as_json)


def _has_other(found: list[dict[str, Any]], current: dict[str, Any]) -> bool:
    return any(each["addon"]["id"] == current["addon"]["id"] and each["name"] != "DATABASE" for each in found)


def _attachment(app: str, addon: dict[str, Any]) -> dict[str, Any]:
    return {"addon": {"name": addon["name"]}, "app": {"name": app}, "confirm": app}


@click.command(cls=PaasCommand, name="pg:credentials", section=SECTION, example="paas pg:credentials")
@click.argument("name", required=False)
@json_option
@app_options
def credentials(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """List the credentials of a database."""
    one = find(session, app, name)
    found = session.api.get(path("postgres", "v0", "databases", one["addon"]["id"], "credentials"))
    rows = [{"name": each["name"], "state": each["state"], "user": each["credentials"][0]["user"]} for each in found]
    if as_json:
        output.print_json(rows)
        return
    output.table(
        ("Credential", "State", "User"), [(row["name"], row["state"], row["user"]) for row in rows], flexible=2
    )


@click.command(cls=PaasCommand, name="pg:credentials:url", section=SECTION, example="paas pg:credentials:url")
@click.argument("name", required=False)
@json_option
@app_options
def credentials_url(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """Print how an app reaches a database, with its password."""
    one = find(session, app, name)
    found = session.api.get(path("postgres", "v0", "databases", one["addon"]["id"], "credentials", "default"))
    user, word = found["credentials"][0]["user"], found["credentials"][0]["password"]
    url = f"postgres://{user}:{word}@{found['host']}:{found['port']}/{found['database']}"
    if as_json:
        output.print_json({key: found[key] for key in ("host", "port", "database")} | {"user": user, "url": url})
        return
    click.echo("Connection information for default credential.")
    click.echo("Connection info string:")
    where = f"dbname={found['database']} host={found['host']} port={found['port']}"
    click.echo(f'  "{where} user={user} password={word}"')
    click.echo("Connection URL:")
    click.echo(f"  {url}")


@click.command(
    cls=PaasCommand, name="pg:credentials:rotate", section=SECTION, example="paas pg:credentials:rotate --confirm shop"
)
@click.argument("name", required=False)
@click.option("-c", "--confirm", "confirmed", metavar="APP", help="The app's name, to be asked nothing.")
@json_option
@app_options
def credentials_rotate(session: Session, app: str, name: str | None, confirmed: str | None, as_json: bool) -> None:
    """Make a new password; the old one is refused at once, and each app gets one release."""
    one = find(session, app, name)
    confirm(app, confirmed, "The password will change, connections end, and the apps that use it get a release")
    with output.action("Rotating default on ", Styled(one["addon"]["name"], output.NAME)):
        session.api.post(path("postgres", "v0", "databases", one["addon"]["name"], "credentials_rotation"), {})
    _tell(one, as_json)


def converse(session: Session, addon: dict[str, Any], tool: str, body: dict[str, Any]) -> int:
    """Talk to one of the server's programs, through the daemon; its exit status."""
    terminal = attach.on_terminal()
    asked = {**body, "env": attach.environment(terminal), **({} if terminal else {"force_no_tty": True})}
    offer = session.api.post(path("paasd", "databases", addon["id"], tool), asked)
    home = session.settings.home
    authority = home / "ca" / "ca.pem" if home is not None else None
    if authority is not None and not authority.exists():
        authority = None
    status = attach.attach(offer["attach_url"], authority, terminal=terminal)
    if status is None:
        print_warning(f"The connection ended before {tool} did.")
        return UNKNOWN_STATUS
    return status


def _tell(attachment: dict[str, Any], as_json: bool) -> None:
    """With --json: the attachment that was meant."""
    if as_json:
        output.print_json(attachment)


def split(extensions: str | None) -> list[str]:
    """Names with commas between them."""
    return sorted({name.strip().lower() for name in (extensions or "").split(",") if name.strip()})


def _stdin_from(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    os.dup2(descriptor, sys.stdin.fileno())
    os.close(descriptor)


COMMANDS = (*(info, psql, ps, kill, killall, wait, reset, promote, credentials, credentials_url, credentials_rotate),)
