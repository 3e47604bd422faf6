"""`git:remote`, `git:clone` and `git:credentials`: a plain `git push` finds the app and its token, none in a URL."""

from __future__ import annotations

from pathlib import Path

import click

from paasd.cli import credentials, output, repository
from paasd.cli.client import path
from paasd.cli.repository import Repository
from paasd.cli.session import PaasCommand, Session, json_option

SECTION = "Connect"


@click.command(cls=PaasCommand, name="git:remote", section=SECTION, example="paas git:remote -a shop")
@click.option("-a", "--app", "named", metavar="APP", help="The app; else $HEROKU_APP or this repository's remote.")
@json_option
@click.pass_obj
def git_remote(session: Session, named: str | None, as_json: bool) -> None:
    """Add the git remotes paasd and heroku of an app to this repository."""
    here = Repository.required()
    wanted = session.app(named, None)
    app = str(session.api.get(path("apps", wanted))["name"])
    changes = here.connect(session.settings, app)
    if as_json:
        output.print_json({"app": app, "remotes": {change.name: change.url for change in changes}})
        return
    for change in changes:
        if change.before:
            output.write(f"set git remote {change.name} to {change.url} (it was {_without_password(change.before)})")
        else:
            output.write(f"set git remote {change.name} to {change.url}")


@click.command(cls=PaasCommand, name="git:clone", section=SECTION, example="paas git:clone -a shop")
@click.option("-a", "--app", "named", metavar="APP", required=True, help="The app.")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def git_clone(session: Session, named: str, directory: Path | None, as_json: bool) -> None:
    """Clone what an app runs, with the remotes paasd and heroku that `git:remote` adds."""
    app = str(session.api.get(path("apps", named))["name"])
    cloned = repository.clone(session.settings, app, directory or Path(app))
    if as_json:
        output.print_json({"app": app, "directory": str(cloned)})


@click.command(
    cls=PaasCommand,
    name="git:credentials",
    section=SECTION,
    example="printf 'protocol=http\\nhost=127.0.0.1:5500\\n\\n' | paas git:credentials get",
)
@click.argument("operation")
@click.pass_obj
def git_credentials(session: Session, operation: str) -> None:
    """Answer git's question for a password (git calls this)."""
    credentials.answer(operation, session.settings.host, session.settings.token)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url


COMMANDS = (git_remote, git_clone, git_credentials)
