"""`webhooks` and its kin: who is told when something happens to an app, and what became of it."""

from __future__ import annotations

import json
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Apps"


@click.command(cls=PaasCommand, name="webhooks", section=SECTION, example="paas webhooks")
@json_option
@app_options
def list_webhooks(session: Session, app: str, as_json: bool) -> None:
    """List the app's webhooks."""
    found = session.api.get_all(path("apps", app, "webhooks"))
    if as_json:
        output.print_json(found)
    elif not found:
        output.write([output.app_name(app), " has no webhooks."])
        click.echo("Use paas webhooks:add to add one.")
    else:
        rows = [(one["id"], one["url"], ",".join(one["include"]), one["level"]) for one in _by_time(found)]
        output.table(("Webhook ID", "URL", "Include", "Level"), rows, flexible=1)


@click.command(
    cls=PaasCommand,
    name="webhooks:add",
    section=SECTION,
    example="paas webhooks:add -i api:release -l sync -u https://example.org/hook",
)
@click.option("-i", "--include", required=True, metavar="ENTITIES", help="api:app, api:build, api:domain, api:release.")
@click.option("-l", "--level", required=True, type=click.Choice(["notify", "sync"]), help="Once, or until it arrives.")
@click.option("-u", "--url", required=True, help="Where each event is sent to, by POST.")
@click.option("-s", "--secret", help="Signs what is sent; else one is made up and shown.")
@click.option("-t", "--authorization", help="Sent along as the Authorization header.")
@json_option
@app_options
def add(
    session: Session,
    app: str,
    include: str,
    level: str,
    url: str,
    secret: str | None,
    authorization: str | None,
    as_json: bool,
) -> None:
    """Have a URL told of what happens to the app."""
    wish = _wish(include, level, url, secret, authorization)
    wish.setdefault("secret", _made_up())
    with output.action("Adding webhook to ", Styled(app, output.APP)):
        made = session.api.post(path("apps", app, "webhooks"), wish)
    if as_json:
        output.print_json({**made, "secret": wish["secret"]})
        return
    output.header("Webhooks Signing Secret")
    click.echo(wish["secret"])


@click.command(cls=PaasCommand, name="webhooks:info", section=SECTION, example="paas webhooks:info ID")
@click.argument("webhook", metavar="ID")
@json_option
@app_options
def info(session: Session, app: str, webhook: str, as_json: bool) -> None:
    """Show one of the app's webhooks."""
    found = session.api.get(path("apps", app, "webhooks", webhook))
    if as_json:
        output.print_json(found)
        return
    output.header(found["id"])
    shown = [("Include", ",".join(found["include"])), ("Level", found["level"]), ("URL", found["url"])]
    output.fields([*shown, ("Webhook ID", found["id"])])


@click.command(cls=PaasCommand, name="webhooks:update", section=SECTION, example="paas webhooks:update ID -l notify")
@click.argument("webhook", metavar="ID")
@click.option("-i", "--include", metavar="ENTITIES", help="What to tell of, with commas between.")
@click.option("-l", "--level", type=click.Choice(["notify", "sync"]), help="Once, or until it arrives.")
@click.option("-u", "--url", help="Where each event is sent to.")
@click.option("-s", "--secret", help="Another secret to sign with.")
@click.option("-t", "--authorization", help="Another Authorization header.")
@json_option
@app_options
def update(
    session: Session,
    app: str,
    webhook: str,
    include: str | None,
    level: str | None,
    url: str | None,
    secret: str | None,
    authorization: str | None,
    as_json: bool,
) -> None:
    """Change a webhook; what is left out stays."""
    wish = _wish(include, level, url, secret, authorization)
    if not wish:
        raise CliError("Nothing to change is named: pass one of -i, -l, -u, -s and -t.")
    with output.action(f"Updating webhook {webhook} for ", Styled(app, output.APP)):
        changed = session.api.patch(path("apps", app, "webhooks", webhook), wish)
    if as_json:
        output.print_json(changed)


@click.command(cls=PaasCommand, name="webhooks:remove", section=SECTION, example="paas webhooks:remove ID")
@click.argument("webhook", metavar="ID")
@json_option
@app_options
def remove(session: Session, app: str, webhook: str, as_json: bool) -> None:
    """Tell a URL nothing any more."""
    with output.action(f"Removing webhook {webhook} from ", Styled(app, output.APP)):
        gone = session.api.delete(path("apps", app, "webhooks", webhook))
    if as_json:
        output.print_json(gone)


@click.command(cls=PaasCommand, name="webhooks:deliveries", section=SECTION, example="paas webhooks:deliveries")
@click.option("-s", "--status", help="Only those: pending, retrying, failed or succeeded.")
@json_option
@app_options
def deliveries(session: Session, app: str, status: str | None, as_json: bool) -> None:
    """List what was sent, and what is to be."""
    found = session.api.get_all(path("apps", app, "webhook-deliveries"))
    found = [one for one in found if status is None or one["status"] == status]
    if as_json:
        output.print_json(found)
    elif not found:
        output.write([output.app_name(app), " has no deliveries"])
    else:
        names = ("Delivery ID", "Created", "Status", "Include", "Level", "Attempts", "Code", "Error", "Next Attempt")
        output.table(names, [_row(one) for one in _by_time(found)], flexible=7)


@click.command(
    cls=PaasCommand, name="webhooks:deliveries:info", section=SECTION, example="paas webhooks:deliveries:info ID"
)
@click.argument("delivery", metavar="ID")
@json_option
@app_options
def delivery_info(session: Session, app: str, delivery: str, as_json: bool) -> None:
    """Show a delivery with its payload."""
    found = session.api.get(path("apps", app, "webhook-deliveries", delivery))
    event = session.api.get(path("apps", app, "webhook-events", found["event"]["id"]))
    if as_json:
        output.print_json({"delivery": found, "event": event})
        return
    last = found["last_attempt"] or {}
    output.header(found["id"])
    output.fields(
        [
            ("Created", found["created_at"]),
            ("Event", found["event"]["id"]),
            ("Webhook", found["webhook"]["id"]),
            ("Status", found["status"]),
            ("Include", found["event"]["include"]),
            ("Level", found["webhook"]["level"]),
            ("Attempts", str(found["num_attempts"])),
            ("Code", str(last["code"]) if last.get("code") else None),
            ("Error", last.get("error_class")),
            ("Next Attempt", found["next_attempt_at"]),
        ]
    )
    click.echo()
    output.header("Event Payload")
    click.echo(json.dumps(event["payload"], indent=2))


@click.command(
    cls=PaasCommand, name="webhooks:deliveries:retry", section=SECTION, example="paas webhooks:deliveries:retry ID"
)
@click.argument("delivery", metavar="ID")
@json_option
@app_options
def retry(session: Session, app: str, delivery: str, as_json: bool) -> None:
    """Send a delivery again, at once."""
    with output.action(f"Retrying delivery {delivery}"):
        again = session.api.post(path("apps", app, "webhook-deliveries", delivery, "actions", "retry"), {})
    if as_json:
        output.print_json(again)


def _wish(
    include: str | None, level: str | None, url: str | None, secret: str | None, authorization: str | None
) -> dict[str, Any]:
    entities = [one.strip() for one in include.split(",")] if include else None
    wish = {"include": entities, "level": level, "url": url, "secret": secret, "authorization": authorization}
    return {name: value for name, value in wish.items() if value is not None}


def _made_up() -> str:
    import secrets

    return secrets.token_hex(32)


def _row(one: dict[str, Any]) -> list[str]:
    last = one["last_attempt"] or {}
    code, error = str(last.get("code") or ""), str(last.get("error_class") or "")
    begun = [one["id"], one["created_at"], one["status"], one["event"]["include"], one["webhook"]["level"]]
    return [*begun, str(one["num_attempts"]), code, error, one["next_attempt_at"] or ""]


def _by_time(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda one: str(one["created_at"]))


COMMANDS = (list_webhooks, add, info, update, remove, deliveries, delivery_info, retry)
