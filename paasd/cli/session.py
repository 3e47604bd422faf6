"""What every command starts from: the settings, the API, the app that is meant; and the options they share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import click

from paasd.cli import settings
from paasd.cli.client import Api
from paasd.cli.errors import CliError
from paasd.cli.repository import Repository
from paasd.cli.settings import Settings

Command = Callable[..., None]


class Session:
    """One call of `paas`. Settings are read when first asked for, so that `--help` works without a daemon."""

    def __init__(self) -> None:
        self.home: str | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        return settings.load(self.home)

    @functools.cached_property
    def api(self) -> Api:
        return Api(self.settings)

    def app(self, named: str | None, remote: str | None) -> str:
        """The app named by -a, by -r, by HEROKU_APP or by the git remotes here, in this order. Raises CliError."""
        found = self.find_app(named, remote)
        if found is None:
            raise CliError(
                "No app is named and no git remote here belongs to one: pass -a APP, or run `paas git:remote -a APP`."
            )
        return found

    def find_app(self, named: str | None, remote: str | None) -> str | None:
        if named:
            return named
        chosen = None if remote else settings.chosen_app()
        if chosen:
            return chosen
        repository = Repository.here()
        remotes = repository.apps(self.settings.host) if repository else {}
        if remote:
            if remote not in remotes:
                raise CliError(f"There is no git remote {remote} here that belongs to an app: see `git remote -v`.")
            return remotes[remote]
        apps = sorted(set(remotes.values()))
        if len(apps) > 1:
            raise CliError(f"The git remotes here belong to several apps ({', '.join(apps)}): choose one with -a APP.")
        return apps[0] if apps else None


class PaasCommand(click.Command):
    """A command with its place in `paas --help`: a section, an example and other names it answers to."""

    def __init__(self, *args: Any, section: str, example: str, aliases: tuple[str, ...] = (), **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.section = section
        self.example = example
        self.aliases = aliases
        self.epilog = "\b\nExample:\n  " + example.replace("\n", "\n  ")
        self.params.append(_home_option())


def _home_option() -> click.Option:
    def keep(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.ensure_object(Session).home = value

    return click.Option(
        ["--home"], metavar="DIR", expose_value=False, callback=keep, is_eager=True, help="The daemon's home directory."
    )


def app_options(command: Command) -> Command:
    """-a and -r; the command gets the session and the app's name before its own arguments."""
    return _with_app(command, Session.app)


def maybe_app_options(command: Command) -> Command:
    """-a and -r of a command that does without an app, too: it gets the session, and the app's name or None."""
    return _with_app(command, Session.find_app)


def _with_app(command: Command, find: Callable[[Session, str | None, str | None], str | None]) -> Command:
    @click.option("-a", "--app", "named", metavar="APP", help="The app; else $HEROKU_APP or this repository's remote.")
    @click.option("-r", "--remote", metavar="NAME", help="The git remote of the app.")
    @functools.wraps(command)
    def run(*args: Any, named: str | None, remote: str | None, **options: Any) -> None:
        session = click.get_current_context().ensure_object(Session)
        command(session, find(session, named, remote), *args, **options)

    return cast(Command, run)


json_option = click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON.")
