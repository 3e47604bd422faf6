"""`access*`, `accounts*`, `apps:rename`, `apps:transfer` and `audit`: people, and what they may do and did."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Access"
PERMISSIONS = ("view", "operate", "deploy", "manage")


@click.command(cls=PaasCommand, name="access", section=SECTION, example="paas access")
@json_option
@app_options
def access(session: Session, app: str, as_json: bool) -> None:
    """List who may do what to the app."""
    found = session.api.get_all(path("apps", app, "collaborators"))
    if as_json:
        output.print_json(found)
        return
    found.sort(key=lambda one: (one["role"] != "owner", one["user"]["email"]))
    output.header("Access to ", output.app_name(app))
    rows = [(one["user"]["email"], one["role"], ", ".join(_names(one))) for one in found]
    output.table(("E-mail", "Role", "Permissions"), rows, flexible=2)


@click.command(cls=PaasCommand, name="access:add", section=SECTION, example="paas access:add ann@a.org")
@click.argument("email")
@click.option("-p", "--permissions", metavar="LIST", help=f"Of {', '.join(PERMISSIONS)} (default: all but manage).")
@json_option
@app_options
def add(session: Session, app: str, email: str, permissions: str | None, as_json: bool) -> None:
    """Let somebody see, run and deploy the app."""
    body: dict[str, Any] = {"user": email}
    if permissions is not None:
        body["permissions"] = _listed(permissions)
    with output.action("Adding ", email, " access to ", Styled(app, output.APP)):
        one = session.api.post(path("apps", app, "collaborators"), body)
    if as_json:
        output.print_json(one)


@click.command(cls=PaasCommand, name="access:update", section=SECTION, example="paas access:update ann@a.org -p deploy")
@click.argument("email")
@click.option("-p", "--permissions", metavar="LIST", required=True, help=f"Of {', '.join(PERMISSIONS)}.")
@json_option
@app_options
def update(session: Session, app: str, email: str, permissions: str, as_json: bool) -> None:
    """Change what somebody may do to the app."""
    with output.action("Updating ", email, " in ", Styled(app, output.APP)):
        where = path("apps", app, "collaborators", email)
        one = session.api.patch(where, {"permissions": _listed(permissions)})
    if as_json:
        output.print_json(one)


@click.command(cls=PaasCommand, name="access:remove", section=SECTION, example="paas access:remove ann@a.org")
@click.argument("email")
@json_option
@app_options
def remove(session: Session, app: str, email: str, as_json: bool) -> None:
    """Take access to the app back."""
    with output.action("Removing ", email, " access from ", Styled(app, output.APP)):
        one = session.api.delete(path("apps", app, "collaborators", email))
    if as_json:
        output.print_json(one)


@click.command(cls=PaasCommand, name="apps:transfer", section=SECTION, example="paas apps:transfer ann@a.org")
@click.argument("email")
@json_option
@app_options
def transfer(session: Session, app: str, email: str, as_json: bool) -> None:
    """Give the app to somebody else."""
    with output.action("Transferring ", Styled(app, output.APP), " to ", email):
        done = session.api.post("/account/app-transfers", {"app": app, "recipient": email})
    if as_json:
        output.print_json(done)


@click.command(cls=PaasCommand, name="accounts", section=SECTION, example="paas accounts")
@json_option
@click.pass_obj
def accounts(session: Session, as_json: bool) -> None:
    """List the people who may use this paasd (admins only)."""
    found = session.api.get("/paasd/accounts")
    if as_json:
        output.print_json(found)
        return
    rows = [(one["email"], one["name"] or "", "admin" if one["admin"] else "", one["created_at"]) for one in found]
    output.table(("E-mail", "Name", "Role", "Since"), rows, flexible=1)


@click.command(cls=PaasCommand, name="accounts:create", section=SECTION, example="paas accounts:create ann@a.org")
@click.argument("email")
@click.option("--name", help="The person's name.")
@click.option("--admin", is_flag=True, help="May do everything to every app.")
@click.option("--password", is_flag=True, help="Ask for a password, for `heroku login`.")
@json_option
@click.pass_obj
def create(session: Session, email: str, name: str | None, admin: bool, password: bool, as_json: bool) -> None:
    """Add a person; their first token is printed once."""
    chosen = _ask_password() if password else None
    with output.action("Creating an account for ", email):
        made = session.api.post("/paasd/accounts", {"email": email, "name": name, "admin": admin, "password": chosen})
    if as_json:
        output.print_json(made)
        return
    click.echo(made["token"])
    click.echo(f"This is {email}'s token (HEROKU_API_KEY). It is shown this once.", err=True)


@click.command(cls=PaasCommand, name="accounts:remove", section=SECTION, example="paas accounts:remove ann@a.org")
@click.argument("email")
@json_option
@click.pass_obj
def remove_account(session: Session, email: str, as_json: bool) -> None:
    """Remove a person, with their tokens and what they may do."""
    with output.action("Removing the account of ", email):
        gone = session.api.delete(path("paasd", "accounts", email))
    if as_json:
        output.print_json(gone)


@click.command(cls=PaasCommand, name="auth:password", section=SECTION, example="paas auth:password")
@json_option
@click.pass_obj
def password(session: Session, as_json: bool) -> None:
    """Set your password, for `heroku login`."""
    chosen = _ask_password()
    with output.action("Setting your password"):
        account = session.api.patch("/account", {"password": chosen})
    if as_json:
        output.print_json(account)


@click.command(cls=PaasCommand, name="audit", section=SECTION, example="paas audit -a shop")
@click.option("-a", "--app", "app", metavar="APP", help="Of one app (default: of all; admins only).")
@click.option("-n", "--num", type=click.IntRange(1, 1000), default=50, help="How many (default 50).")
@json_option
@click.pass_obj
def audit(session: Session, app: str | None, num: int, as_json: bool) -> None:
    """Show who wrote what, when and from where, newest first."""
    where = path("apps", app, "audit") if app else "/paasd/audit"
    entries = session.api.get(f"{where}?limit={num}")
    if as_json:
        output.print_json(entries)
        return
    rows = [
        (entry["at"][:19] + "Z", entry["user"]["email"], entry["token"], entry["address"], _said(entry))
        for entry in entries
    ]
    output.table(("When", "Who", "Token", "From", "What"), rows, flexible=4)


def _said(entry: dict[str, Any]) -> str:
    """`PATCH /apps/shop/config-vars set KEY`, and `forbidden` where it was."""
    detail = entry["detail"]
    words = [entry["method"], entry["path"]]
    for name, value in detail.items():
        if isinstance(value, dict):
            words += [f"{kind} {before}→{after}" for kind, (before, after) in value.items()]
        elif name not in ("fields", "set", "removed") and isinstance(value, list) and len(value) == 2:
            words.append(f"{name} {_word(value[0])}→{_word(value[1])}")
        elif name != "fields":
            words.append(f"{name} {_word(value)}")
    return " ".join([*words, *(["forbidden"] if entry["status"] == 403 else [])])


def _word(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _names(one: dict[str, Any]) -> list[str]:
    return [str(permission["name"]) for permission in one.get("permissions") or ()]


def _listed(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PERMISSIONS:
            raise CliError(f"{name} is no permission: name some of {', '.join(PERMISSIONS)}.")
    return names


def _ask_password() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


COMMANDS = (*(access, add, update, remove, transfer, accounts, create, remove_account, password, audit),)
