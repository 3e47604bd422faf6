"""`authorizations*`, `sessions*`, `keys*` and `auth:token`: what opens the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.session import PaasCommand, Session, json_option

SECTION = "Access"
WHERE = "/oauth/authorizations"
SCOPES = "global, read, write, read-protected, write-protected, identity"


@click.command(cls=PaasCommand, name="authorizations", section=SECTION, example="paas authorizations")
@json_option
@click.pass_obj
def authorizations(session: Session, as_json: bool) -> None:
    """List your tokens (never their secrets)."""
    found = session.api.get_all(WHERE)
    if as_json:
        output.print_json(found)
        return
    found.sort(key=lambda one: str(one["description"]))
    rows = [(one["description"], one["id"], ", ".join(one["scope"]), _end(one)) for one in found]
    output.table(("Description", "ID", "Scope", "Expires"), rows, flexible=0)


@click.command(
    cls=PaasCommand, name="authorizations:create", section=SECTION, example="paas authorizations:create -d ci"
)
@click.option("-d", "--description", help="What it is for.")
@click.option("-s", "--scope", metavar="LIST", help=f"Of {SCOPES}.")
@click.option("-e", "--expires-in", type=int, metavar="SECONDS", help="When it ends (default: never).")
@click.option("-S", "--short", is_flag=True, help="Print the token alone.")
@json_option
@click.pass_obj
def create(
    session: Session, description: str | None, scope: str | None, expires_in: int | None, short: bool, as_json: bool
) -> None:
    """Make a token; it is printed once."""
    body: dict[str, Any] = {"description": description, "expires_in": expires_in}
    if scope is not None:
        body["scope"] = [name.strip() for name in scope.split(",") if name.strip()]
    if short or as_json:
        made = session.api.post(WHERE, body)
    else:
        with output.action("Creating OAuth Authorization"):
            made = session.api.post(WHERE, body)
    _show(made, short=short, as_json=as_json)


@click.command(cls=PaasCommand, name="authorizations:info", section=SECTION, example="paas authorizations:info ID")
@click.argument("token_id", metavar="ID")
@json_option
@click.pass_obj
def info(session: Session, token_id: str, as_json: bool) -> None:
    """Show one of your tokens."""
    _show(session.api.get(f"{WHERE}{path(token_id)}"), as_json=as_json)


@click.command(
    cls=PaasCommand,
    name="authorizations:update",
    section=SECTION,
    example="paas authorizations:update ID -d laptop",
)
@click.argument("token_id", metavar="ID")
@click.option("-d", "--description", required=True, help="What it is for.")
@json_option
@click.pass_obj
def update(session: Session, token_id: str, description: str, as_json: bool) -> None:
    """Describe a token anew."""
    with output.action("Updating OAuth Authorization"):
        changed = session.api.patch(f"{WHERE}{path(token_id)}", {"description": description})
    _show(changed, as_json=as_json)


@click.command(cls=PaasCommand, name="authorizations:rotate", section=SECTION, example="paas authorizations:rotate ID")
@click.argument("token_id", metavar="ID")
@json_option
@click.pass_obj
def rotate(session: Session, token_id: str, as_json: bool) -> None:
    """Give a token another secret; the old one ends at once."""
    with output.action("Rotating OAuth Authorization"):
        changed = session.api.post(f"{WHERE}{path(token_id)}/actions/regenerate-tokens")
    _show(changed, as_json=as_json)


@click.command(
    cls=PaasCommand,
    name="authorizations:revoke",
    section=SECTION,
    example="paas authorizations:revoke ID",
    aliases=("authorizations:destroy",),
)
@click.argument("token_id", metavar="ID")
@json_option
@click.pass_obj
def revoke(session: Session, token_id: str, as_json: bool) -> None:
    """End a token."""
    with output.action("Revoking OAuth Authorization"):
        gone = session.api.delete(f"{WHERE}{path(token_id)}")
    if as_json:
        output.print_json(gone)


@click.command(cls=PaasCommand, name="auth:token", section=SECTION, example="paas auth:token")
@json_option
@click.pass_obj
def token(session: Session, as_json: bool) -> None:
    """Print the token that paas uses."""
    session.api.get("/account")  # a token that is refused is not worth printing
    if as_json:
        output.print_json({"token": session.settings.token})
    else:
        click.echo(session.settings.token)


@click.command(cls=PaasCommand, name="sessions", section=SECTION, example="paas sessions")
@json_option
@click.pass_obj
def sessions(session: Session, as_json: bool) -> None:
    """List your browser logins."""
    found = session.api.get_all("/oauth/sessions")
    if as_json:
        output.print_json(found)
    elif not found:
        click.echo("You have no OAuth sessions.")
    else:
        output.table(("Description", "ID"), [(one["description"], one["id"]) for one in found], flexible=0)


@click.command(cls=PaasCommand, name="sessions:destroy", section=SECTION, example="paas sessions:destroy ID")
@click.argument("session_id", metavar="ID")
@json_option
@click.pass_obj
def destroy_session(session: Session, session_id: str, as_json: bool) -> None:
    """End a browser login."""
    with output.action("Destroying ", session_id):
        gone = session.api.delete(path("oauth", "sessions", session_id))
    if as_json:
        output.print_json(gone)


@click.command(cls=PaasCommand, name="keys", section=SECTION, example="paas keys")
@json_option
@click.pass_obj
def keys(session: Session, as_json: bool) -> None:
    """List your SSH keys."""
    found = session.api.get_all("/account/keys")
    if as_json:
        output.print_json(found)
    elif not found:
        click.echo("You have no SSH keys.")
    else:
        rows = [(one["comment"], one["fingerprint"], one["public_key"].split()[0]) for one in found]
        output.table(("Comment", "Fingerprint", "Type"), rows, flexible=0)


@click.command(cls=PaasCommand, name="keys:add", section=SECTION, example="paas keys:add ~/.ssh/id_ed25519.pub")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def add_key(session: Session, file: Path, as_json: bool) -> None:
    """Add an SSH public key."""
    try:
        text = file.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} can't be read ({error}): name the .pub file of a key.") from error
    if "PRIVATE KEY" in text:
        raise CliError(f"{file} is a private key, which nobody but you may have: name its .pub file.")
    with output.action("Uploading ", str(file), " SSH key"):
        key = session.api.post("/account/keys", {"public_key": text.strip()})
    if as_json:
        output.print_json(key)


@click.command(cls=PaasCommand, name="keys:remove", section=SECTION, example="paas keys:remove ann@laptop")
@click.argument("which", metavar="COMMENT|FINGERPRINT")
@json_option
@click.pass_obj
def remove_key(session: Session, which: str, as_json: bool) -> None:
    """Remove an SSH key."""
    found = [key for key in session.api.get_all("/account/keys") if which in (key["comment"], key["fingerprint"])]
    if not found:
        raise CliError(f"There is no SSH key {which}: `paas keys` lists yours.")
    with output.action("Removing ", which, " SSH key"):
        gone = [session.api.delete(path("account", "keys", key["id"])) for key in found]
    if as_json:
        output.print_json(gone)


@click.command(cls=PaasCommand, name="keys:clear", section=SECTION, example="paas keys:clear")
@json_option
@click.pass_obj
def clear_keys(session: Session, as_json: bool) -> None:
    """Remove all your SSH keys."""
    with output.action("Removing all SSH keys"):
        gone = [session.api.delete(path("account", "keys", key["id"])) for key in session.api.get_all("/account/keys")]
    if as_json:
        output.print_json(gone)


def _show(one: dict[str, Any], *, short: bool = False, as_json: bool = False) -> None:
    if as_json:
        output.print_json(one)
    elif short:
        click.echo(one["access_token"]["token"])
    else:
        output.fields(
            [
                ("Client", "<none>"),
                ("ID", one["id"]),
                ("Description", one["description"]),
                ("Scope", ", ".join(one["scope"])),
                ("Token", one["access_token"]["token"]),
                ("Expires", _end(one)),
                ("Updated at", one["updated_at"]),
            ]
        )


def _end(one: dict[str, Any]) -> str:
    left = one["access_token"]["expires_in"]
    if left is None:
        return "never"
    for seconds, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if left >= seconds:
            return f"in {left // seconds}{unit}"
    return f"in {left}s" if left else "expired"


COMMANDS = (
    *(authorizations, create, info, update, rotate, revoke, token),
    *(sessions, destroy_session, keys, add_key, remove_key, clear_keys),
)
