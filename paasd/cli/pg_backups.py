"""`pg:backups*` and `pg:copy`: a database's data kept, brought back, and copied."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.databases import confirm, database, find
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.pg import split
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Data"
POLL_SECONDS = 0.3
BACKUP, RESTORE, COPY = ("pg_dump", "gof3r"), ("gof3r", "pg_restore"), ("pg_dump", "pg_restore")
ZONES = {  # as the heroku CLI has them
    **dict.fromkeys(("BST", "GMT"), "Europe/London"),
    **dict.fromkeys(("CET", "CEST"), "Europe/Paris"),
    **dict.fromkeys(("CST", "CDT"), "America/Chicago"),
    **dict.fromkeys(("EST", "EDT"), "America/New_York"),
    **dict.fromkeys(("MST", "MDT"), "America/Boise"),
    **dict.fromkeys(("PST", "PDT"), "America/Los_Angeles"),
    "Z": "UTC",
}


@click.command(cls=PaasCommand, name="pg:backups", section=SECTION, example="paas pg:backups")
@json_option
@app_options
def backups(session: Session, app: str, as_json: bool) -> None:
    """List backups, restores and copies."""
    found = _transfers(session, app)
    if as_json:
        output.print_json([_shown(one) for one in found])
        return
    for title, kind, words in (
        ("Backups", BACKUP, "No backups. Capture one with paas pg:backups:capture"),
        ("Restores", RESTORE, "No restores found. Use paas pg:backups:restore to restore a backup"),
        ("Copies", COPY, "No copies found. Use paas pg:copy to copy a database to another"),
    ):
        output.header(title)
        rows = [_row(one, kind) for one in found if (one["from_type"], one["to_type"]) == kind]
        if rows:
            ends = ("From", "To") if kind == COPY else ("Database",)
            output.table(("ID", "Created at", "Status", "Size", *ends), rows, flexible=2)
        else:
            click.echo(words)
        click.echo()


@click.command(cls=PaasCommand, name="pg:backups:capture", section=SECTION, example="paas pg:backups:capture")
@click.argument("name", required=False)
@json_option
@app_options
def capture(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """Take a backup, and wait until it is kept."""
    one = find(session, app, name)
    begun = session.api.post(database(one["addon"], "backups"))
    _follow(session, one["addon"], begun, f"Backing up {begun['from_name']} to {begun['name']}", as_json)


@click.command(cls=PaasCommand, name="pg:backups:restore", section=SECTION, example="paas pg:backups:restore b001")
@click.argument("backup", required=False)
@click.argument("name", required=False)
@click.option("-c", "--confirm", "confirmed", metavar="APP", help="The app's name, to be asked nothing.")
@click.option("-e", "--extensions", metavar="NAMES", help="Extensions to make first, with commas.")
@json_option
@app_options
def restore(
    session: Session,
    app: str,
    backup: str | None,
    name: str | None,
    confirmed: str | None,
    extensions: str | None,
    as_json: bool,
) -> None:
    """Put a backup (the newest, APP::b001, a URL) in the place of a database's data."""
    one = find(session, app, name)
    if backup is not None and re.match("https?://", backup):
        url, shown = backup, backup
    else:
        owner, _, wanted = (backup or "").rpartition("::")
        chosen = _backup(session, owner or app, wanted or None)
        url, shown = chosen["to_url"], chosen["name"]
    confirm(app, confirmed, f"{one['addon']['name']} will lose its data, and get that of {shown}")
    begun = session.api.post(database(one["addon"], "restores"), {"backup_url": url, "extensions": split(extensions)})
    _follow(session, one["addon"], begun, f"Restoring {shown} to {one['addon']['name']}", as_json)


@click.command(cls=PaasCommand, name="pg:copy", section=SECTION, example="paas pg:copy DATABASE RED --confirm shop")
@click.argument("source")
@click.argument("target")
@click.option("-c", "--confirm", "confirmed", metavar="APP", help="The app's name, to be asked nothing.")
@json_option
@app_options
def copy(session: Session, app: str, source: str, target: str, confirmed: str | None, as_json: bool) -> None:
    """Put one database's data in the place of another's."""
    of, to = find(session, app, source), find(session, app, target)
    confirm(app, confirmed, f"{to['addon']['name']} will lose its data, and get that of {of['addon']['name']}")
    urls = [_url(session, one) for one in (of, to)]
    wish = {"from_name": of["name"], "from_url": urls[0], "to_name": to["name"], "to_url": urls[1]}
    begun = session.api.post(database(to["addon"], "transfers"), wish)
    _follow(session, to["addon"], begun, f"Copying {of['addon']['name']} to {to['addon']['name']}", as_json)


@click.command(cls=PaasCommand, name="pg:backups:info", section=SECTION, example="paas pg:backups:info b001")
@click.argument("backup", required=False)
@json_option
@app_options
def info(session: Session, app: str, backup: str | None, as_json: bool) -> None:
    """Show a backup (the newest), and its log."""
    number = _number(backup) if backup else _newest(session, app, good=False)["num"]
    found = session.api.get(f"{path('client', 'v11', 'apps', app, 'transfers', str(number))}?verbose=true")
    if as_json:
        output.print_json(_shown(found))
        return
    output.header(f"Backup {found['name']}")
    output.fields(
        [
            ("Database", found["from_name"]),
            ("Started at", found["started_at"]),
            ("Finished at", found["finished_at"]),
            ("Status", _status(found).partition(" ")[0]),
            ("Type", "Scheduled" if found["schedule"] else "Manual"),
            ("Original DB Size", output.size(found["source_bytes"])),
            ("Backup Size", output.size(found["processed_bytes"])),
            ("SHA-256", found["sha256"]),
        ]
    )
    click.echo()
    output.header("Backup Logs")
    for line in found["logs"]:
        click.echo(f"{line['created_at']} {line['message']}")


@click.command(cls=PaasCommand, name="pg:backups:url", section=SECTION, example="paas pg:backups:url b001")
@click.argument("backup", required=False)
@json_option
@app_options
def url(session: Session, app: str, backup: str | None, as_json: bool) -> None:
    """Print a secret URL of a backup (the newest), that needs no token for 2 to 3 hours."""
    found = _public_url(session, app, backup)
    if as_json:
        output.print_json({"url": found})
    else:
        click.echo(found)


@click.command(
    cls=PaasCommand, name="pg:backups:download", section=SECTION, example="paas pg:backups:download -o shop.dump"
)
@click.argument("backup", required=False)
@click.option("-o", "--output", "to", type=click.Path(dir_okay=False, path_type=Path), help="Else latest.dump.")
@json_option
@app_options
def download(session: Session, app: str, backup: str | None, to: Path | None, as_json: bool) -> None:
    """Fetch a backup (the newest); pg_restore reads it."""
    target = to or Path("latest.dump")
    if target.exists():
        raise CliError(f"{target} is there already: name another file with -o.")
    where = _public_url(session, app, backup).partition("/dumps/")
    part = target.with_name(f".{target.name}.part")
    with output.action("Getting backup from ", Styled(app, output.APP)) as step:
        try:
            with session.api.stream(f"{session.settings.api}/dumps/{where[2]}") as chunks, part.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        step.done(f"done, {target} ({output.size(target.stat().st_size)})")
    if as_json:
        output.print_json({"file": str(target), "bytes": target.stat().st_size})


@click.command(cls=PaasCommand, name="pg:backups:delete", section=SECTION, example="paas pg:backups:delete b001")
@click.argument("backup")
@click.option("-c", "--confirm", "confirmed", metavar="APP", help="The app's name, to be asked nothing.")
@json_option
@app_options
def delete(session: Session, app: str, backup: str, confirmed: str | None, as_json: bool) -> None:
    """Delete a backup."""
    number = _number(backup)
    confirm(app, confirmed, f"The backup {backup} will be gone for good")
    with output.action(f"Deleting backup {backup} on ", Styled(app, output.APP)):
        gone = session.api.delete(path("client", "v11", "apps", app, "transfers", str(number)))
    if as_json:
        output.print_json(_shown(gone))


@click.command(cls=PaasCommand, name="pg:backups:cancel", section=SECTION, example="paas pg:backups:cancel")
@click.argument("backup", required=False)
@json_option
@app_options
def cancel(session: Session, app: str, backup: str | None, as_json: bool) -> None:
    """Break off a backup, restore or copy (the newest that is under way)."""
    found = [one for one in _transfers(session, app) if not one["finished_at"] or backup]
    chosen = next((one for one in found if backup in (None, one["name"])), None)
    if chosen is None:
        raise CliError("No active backups/transfers: paas pg:backups shows how they ended.")
    with output.action(f"Cancelling {chosen['name']}"):
        session.api.post(path("client", "v11", "apps", app, "transfers", chosen["uuid"], "actions", "cancel"))
    if as_json:
        output.print_json(_shown(chosen))


@click.command(
    cls=PaasCommand, name="pg:backups:schedule", section=SECTION, example="paas pg:backups:schedule --at '02:00 UTC'"
)
@click.argument("name", required=False)
@click.option("--at", required=True, metavar="'HH:00 ZONE'", help="The hour, in a zone such as Europe/Paris; else UTC.")
@json_option
@app_options
def schedule(session: Session, app: str, name: str | None, at: str, as_json: bool) -> None:
    """Have a backup taken every day."""
    match = re.fullmatch(r"(0?\d|1\d|2[0-3]):00 ?(\S*)", at)
    if match is None:
        raise CliError("The time can't be read: write --at '02:00 Europe/Paris'.")
    one, zone = find(session, app, name), ZONES.get(match[2].upper(), match[2] or "UTC")
    wish = {"hour": match[1], "timezone": zone, "schedule_name": f"{one['name']}_URL"}
    with output.action(f"Scheduling automatic daily backups of {one['addon']['name']} at {match[1]}:00 {zone}"):
        made = session.api.post(database(one["addon"], "transfer-schedules"), wish)
    if as_json:
        output.print_json(made)


@click.command(cls=PaasCommand, name="pg:backups:schedules", section=SECTION, example="paas pg:backups:schedules")
@json_option
@app_options
def schedules(session: Session, app: str, as_json: bool) -> None:
    """List the daily backups."""
    found = session.api.get(database(find(session, app, None)["addon"], "transfer-schedules"))
    if as_json:
        output.print_json(found)
    elif not found:
        click.echo(f"No backup schedules found on {app}: set one up with paas pg:backups:schedule.", err=True)
    else:
        output.header("Backup Schedules")
        for one in found:
            click.echo(f"{one['name']}: daily at {one['hour']}:00 {one['timezone']}")


@click.command(cls=PaasCommand, name="pg:backups:unschedule", section=SECTION, example="paas pg:backups:unschedule")
@click.argument("name", required=False)
@json_option
@app_options
def unschedule(session: Session, app: str, name: str | None, as_json: bool) -> None:
    """End the daily backups of a database."""
    one = find(session, app, name)
    found = session.api.get(database(one["addon"], "transfer-schedules"))
    names = {f"{one['name']}_URL", one["name"], one["addon"]["name"]}
    chosen = next((each for each in found if each["name"] in names), None)
    if chosen is None:
        raise CliError(f"No daily backups found for {one['addon']['name']}: see paas pg:backups:schedules.")
    with output.action(f"Unscheduling {chosen['name']} daily backups"):
        session.api.delete(database(one["addon"], "transfer-schedules", chosen["uuid"]))
    if as_json:
        output.print_json(chosen)


def _transfers(session: Session, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.api.get(path("client", "v11", "apps", app, "transfers"))
    return found


def _newest(session: Session, app: str, *, good: bool = True) -> dict[str, Any]:
    for one in _transfers(session, app):
        if (one["from_type"], one["to_type"]) == BACKUP and (one["succeeded"] or not good):
            return one
    raise CliError(f"No backups on {app}: capture one with paas pg:backups:capture -a {app}.")


def _backup(session: Session, app: str, name: str | None) -> dict[str, Any]:
    if name is None:
        return _newest(session, app)
    for one in _transfers(session, app):
        if one["name"] == name and one["to_url"]:
            return one
    raise CliError(f"{name} is no backup of {app} that succeeded: see paas pg:backups -a {app}.")


def _number(name: str) -> int:
    match = re.fullmatch(r"[abcr](\d{1,9})", name)
    if match is None:
        raise CliError(f"{name} is no backup's name: see paas pg:backups.")
    return int(match[1])


def _public_url(session: Session, app: str, name: str | None) -> str:
    number = str(_number(name) if name else _newest(session, app)["num"])
    return str(
        session.api.post(path("client", "v11", "apps", app, "transfers", number, "actions", "public-url"))["url"]
    )


def _url(session: Session, one: dict[str, Any]) -> str:
    config = session.api.get(path("apps", one["app"]["name"], "config-vars"))
    return str(config.get(f"{one['name']}_URL"))


def _follow(session: Session, addon: dict[str, Any], begun: dict[str, Any], words: str, as_json: bool) -> None:
    """Until it has ended. CliError, with the end of its log, when it failed."""
    where = f"{path('client', 'v11', 'apps', addon['app']['name'], 'transfers', begun['uuid'])}?verbose=true"
    with output.action(words) as step:
        while not (now := session.api.get(where))["finished_at"]:
            time.sleep(POLL_SECONDS)
        if not now["succeeded"]:
            reason = "\n".join(line["message"] for line in now["logs"][-5:])
            raise CliError(f"{now['name']} did not succeed:\n{reason}")
        step.done(f"done, {output.size(now['processed_bytes'])}")
    if as_json:
        output.print_json(_shown(now))


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "to_url"}


def _row(one: dict[str, Any], kind: tuple[str, str]) -> tuple[str, ...]:
    ends = {BACKUP: ("from_name",), RESTORE: ("to_name",), COPY: ("from_name", "to_name")}[kind]
    size = output.size(one["processed_bytes"])
    return (one["name"], one["created_at"], _status(one), size, *(one[end] for end in ends))


def _status(one: dict[str, Any]) -> str:
    if one["canceled_at"]:
        return f"Canceled {one['canceled_at']}"
    if one["finished_at"]:
        return f"{'Completed' if one['succeeded'] else 'Failed'} {one['finished_at']}"
    return "Running" if one["started_at"] else "Pending"


COMMANDS = (
    *(backups, capture, restore, copy, info, url, download, delete, cancel),
    *(schedule, schedules, unschedule),
)
