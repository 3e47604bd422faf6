"""`apps`, `apps:create`, `apps:info`, `apps:rename`, `apps:destroy`, `open` and `whoami`."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.repository import Repository
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Apps"
HERE = ("us", "local")  # not worth a word: where an app is unless somebody says otherwise


@click.command(cls=PaasCommand, name="apps", section=SECTION, example="paas apps", aliases=("list", "apps:list"))
@json_option
@click.pass_obj
def list_apps(session: Session, as_json: bool) -> None:
    """List your apps."""
    apps = sorted(session.api.get_all("/apps"), key=lambda app: str(app["name"]))
    if as_json:
        output.print_json(apps)
    elif not apps:
        click.echo("You have no apps.")
    else:
        email = session.api.get("/account")["email"]
        output.header(Styled(email, output.NAME), " Apps")
        for app in apps:
            region = (app.get("region") or {}).get("name", "us")
            output.write([output.app_name(app["name"]), "" if region in HERE else f" ({region})"])


@click.command(
    cls=PaasCommand, name="apps:create", section=SECTION, example="paas apps:create shop", aliases=("create",)
)
@click.argument("name", required=False)
@click.option("-n", "--no-remote", is_flag=True, help="Leave this repository's git remotes as they are.")
@json_option
@click.pass_obj
def create(session: Session, name: str | None, no_remote: bool, as_json: bool) -> None:
    """Create an app, and the git remotes for it in this repository."""
    repository = None if no_remote else Repository.here()
    with output.action("Creating ", Styled(name, output.APP) if name else "app") as step:
        app = session.api.post("/apps", {"name": name} if name else {})
        step.done("done" if name else f"done, {app['name']}")
    if repository:
        repository.connect(session.settings, app["name"])
    if as_json:
        output.print_json(app)
    else:
        output.write([Styled(app["web_url"], output.LINK), " | ", Styled(app["git_url"], output.LINK)])


@click.command(cls=PaasCommand, name="apps:info", section=SECTION, example="paas apps:info -a shop", aliases=("info",))
@json_option
@app_options
def info(session: Session, name: str, as_json: bool) -> None:
    """Show an app in detail."""
    api = session.api
    found = {
        "app": api.get(path("apps", name)),
        "addons": api.get_all(path("apps", name, "addons")),
        "collaborators": api.get_all(path("apps", name, "collaborators")),
        "dynos": api.get_all(path("apps", name, "dynos")),
    }
    if as_json:
        output.print_json(found)
        return
    app: dict[str, Any] = found["app"]
    owner = app["owner"]["email"]
    others = sorted(entry["user"]["email"] for entry in found["collaborators"])
    stack, next_stack = app["stack"]["name"], app["build_stack"]["name"]
    dynos = Counter(str(dyno["type"]) for dyno in found["dynos"])
    output.header(output.app_name(app["name"]))
    output.fields(
        [
            ("Addons", ", ".join(sorted(addon["plan"]["name"] for addon in found["addons"])) or None),
            ("Collaborators", ", ".join(email for email in others if email != owner) or None),
            ("Auto Cert Mgmt", str(app["acm"]).lower()),
            ("Git URL", app["git_url"]),
            ("Web URL", Styled(app["web_url"], output.LINK)),
            ("Maintenance", Styled("on", output.BUSY) if app["maintenance"] else None),
            ("Repo Size", output.size(app["repo_size"])),
            ("Slug Size", output.size(app["slug_size"])),
            ("Owner", owner),
            ("Region", app["region"]["name"]),
            ("Dynos", ", ".join(f"{kind}: {count}" for kind, count in sorted(dynos.items())) or "none"),
            ("Stack", stack if stack == next_stack else f"{stack} (next build will use {next_stack})"),
        ]
    )


@click.command(
    cls=PaasCommand,
    name="apps:destroy",
    section=SECTION,
    example="paas apps:destroy --confirm shop",
    aliases=("destroy", "apps:delete"),
)
@click.argument("name", required=False)
@click.option("-a", "--app", "named", metavar="APP", help="The app; else $HEROKU_APP or this repository's remote.")
@click.option("-c", "--confirm", metavar="APP", help="The app's name once more: don't ask.")
@json_option
@click.pass_obj
def destroy(session: Session, name: str | None, named: str | None, confirm: str | None, as_json: bool) -> None:
    """Destroy an app for good, and this repository's remotes to it."""
    app = session.find_app(name or named, None) or confirm
    if app is None:
        raise CliError("No app is named: pass its name, as in `paas apps:destroy shop --confirm shop`.")
    found = session.api.get(path("apps", app))
    app = str(found["name"])
    held = session.api.get_all(path("apps", app, "addons"))
    _confirm(app, [str(one["name"]) for one in held], confirm)
    with output.action("Destroying ", Styled(app, output.APP), " (including all add-ons)"):
        gone = session.api.delete(path("apps", app))
        repository = Repository.here()
        if repository:
            repository.disconnect(session.settings.host, app)
    if as_json:
        output.print_json(gone)


@click.command(
    cls=PaasCommand, name="apps:rename", section=SECTION, example="paas apps:rename store -a shop", aliases=("rename",)
)
@click.argument("new_name", metavar="NEWNAME")
@json_option
@app_options
def rename(session: Session, app: str, new_name: str, as_json: bool) -> None:
    """Rename the app, and this repository's remotes to it."""
    with output.action("Renaming ", Styled(app, output.APP), " to ", Styled(new_name, output.APP)):
        renamed = session.api.patch(path("apps", app), {"name": new_name})
        repository = Repository.here()
        if repository and app in repository.apps(session.settings.host).values():
            repository.disconnect(session.settings.host, app)
            repository.connect(session.settings, renamed["name"])
    if as_json:
        output.print_json(renamed)
    else:
        output.write([Styled(renamed["web_url"], output.LINK), " | ", Styled(renamed["git_url"], output.LINK)])


def _confirm(app: str, addons: list[str], given: str | None) -> None:
    if addons:
        click.echo(f"Its add-ons go with it, their data is kept for 7 days: {', '.join(addons)}", err=True)
    if given is None:
        if not sys.stdin.isatty():
            raise CliError(f"This would destroy {app} and all it holds: to go on, add --confirm {app}.")
        click.echo(f"This will destroy {app} and all it holds. To go on, type {app}, or add --confirm {app}.", err=True)
        given = click.prompt(">", prompt_suffix=" ", err=True)
    if given != app:
        raise CliError(f"Confirmation {given} did not match {app}: nothing was destroyed.")


@click.command(cls=PaasCommand, name="open", section=SECTION, example="paas open", aliases=("apps:open",))
@click.argument("where", metavar="[PATH]", default="")
@json_option
@app_options
def open_app(session: Session, name: str, where: str, as_json: bool) -> None:
    """Open the app in a web browser; its address is printed as well."""
    app = session.api.get(path("apps", name))
    url = str(app["web_url"]).rstrip("/") + "/" + where.lstrip("/")
    if as_json:
        output.print_json({"url": url})
        return
    output.write(["Opening ", Styled(url, output.LINK), "..."])
    sys.stdout.flush()
    import webbrowser

    webbrowser.open(url)


@click.command(cls=PaasCommand, name="whoami", section="Connect", example="paas whoami", aliases=("auth:whoami",))
@json_option
@click.pass_obj
def whoami(session: Session, as_json: bool) -> None:
    """Print the account that the token belongs to."""
    account = session.api.get("/account")
    if as_json:
        output.print_json(account)
    else:
        output.write(str(account["email"]))


COMMANDS = (list_apps, create, info, rename, destroy, open_app, whoami)
