"""What commands on add-ons' data begin with: which add-on is meant, and the words for it."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.session import Session

PG, REDIS = "heroku-postgresql", "heroku-redis"
WORDS = {PG: "PostgreSQL database", REDIS: "Redis"}
DEFAULTS = {PG: "DATABASE", REDIS: "REDIS"}


def attachments(session: Session, app: str, service: str) -> list[dict[str, Any]]:
    """The app's, to add-ons of that service."""
    found = session.api.get_all(path("apps", app, "addon-attachments"))
    addons = {one["id"]: one for one in session.api.get_all(path("apps", app, "addons"))}
    for one in found:
        known = addons.get(one["addon"]["id"]) or session.api.get(path("addons", one["addon"]["id"]))
        one["addon"] = {**one["addon"], **known}
    return [one for one in found if one["addon"]["addon_service"]["name"] == service]


def find(session: Session, app: str, named: str | None, service: str = PG) -> dict[str, Any]:
    """The attachment that a name (DATABASE_URL, DATABASE, the add-on's) means; the default one, or the only one.

    `app::NAME` is another app's. Raises CliError.
    """
    if named and "::" in named:
        app, _, named = named.partition("::")
    found = attachments(session, app, service)
    if not found:
        alias = "postgresql" if service == PG else "redis"
        raise CliError(f"{app} has no {WORDS[service]}: make one with `paas addons:create {alias} -a {app}`.")
    wanted = (named or "").upper().removesuffix("_URL")
    if named is None:
        wanted = DEFAULTS[service] if len({one["addon"]["id"] for one in found}) > 1 else found[0]["name"]
    for one in sorted(found, key=lambda each: str(each["name"]) != DEFAULTS[service]):
        if wanted == one["name"] or named in (one["addon"]["name"], one["addon"]["id"]):
            return one
    names = ", ".join(str(one["name"]) for one in found)
    raise CliError(f"{named or wanted} is no {WORDS[service]} of {app}: name one of {names}.")


def confirm(app: str, confirmed: str | None, what: str) -> None:
    """Ask for the app's name, unless it was given. Raises CliError."""
    if confirmed is None:
        click.echo(
            f" !    {what}\n !    To proceed, type {app} or re-run this command with --confirm {app}\n", err=True
        )
        confirmed = click.prompt(">", err=True, prompt_suffix=" ")
    if confirmed != app:
        raise CliError(f"Confirmation {confirmed} did not match {app}. Aborted.")


def database(addon: dict[str, Any], *more: str) -> str:
    """The path on the data host."""
    return path("client", "v11", "databases", addon["id"], *more)
