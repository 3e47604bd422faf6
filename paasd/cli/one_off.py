"""`run`, `run:detached`, `run:inside`, `console`, `rake`: a command in a dyno of its own, or inside a running one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any

import click

from paasd.cli import attach, output
from paasd.cli.client import path
from paasd.cli.errors import CliError, print_warning
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Running"
ARGUMENTS: dict[str, Any] = {"allow_interspersed_args": False}  # what follows the command's first word is its own
WORDS: dict[str, Any] = {**ARGUMENTS, "ignore_unknown_options": True}
UNKNOWN_STATUS = 255
OPTIONS = (
    click.option("-s", "--size", metavar="SIZE", help="The dyno's size, such as standard-2x."),
    click.option("-e", "--env", metavar="VARS", help='More config vars, as in "RAILS_ENV=test;DEBUG=1".'),
)


OURS = ("-a", "--app", "-r", "--remote")


class RunCommand(PaasCommand):
    """One that takes a command. What follows the first word is the command's, but for -a and -r at the very end, as
    the heroku CLI has it (`run bash -a shop`); behind `--` all of it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" not in args:
            if len(args) > 2 and args[-2] in OURS:
                args = [*args[-2:], *args[:-2]]
            elif len(args) > 1 and args[-1].startswith(("--app=", "--remote=")):
                args = [args[-1], *args[:-1]]
        return super().parse_args(ctx, args)


def dyno_options(command: Callable[..., None]) -> Callable[..., None]:
    """-s and -e of a one-off dyno."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(cls=RunCommand, name="run", section=SECTION, example="paas run bash", context_settings=ARGUMENTS)
@click.option("-x", "--exit-code", is_flag=True, expose_value=False, help="As it is anyway: end with its status.")
@dyno_options
@click.option("--no-tty", is_flag=True, help="No terminal, also where there is one.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@app_options
def run(session: Session, app: str, size: str | None, env: str | None, no_tty: bool, command: tuple[str, ...]) -> None:
    """Run a command in a one-off dyno; ends with its exit status."""
    _attached(session, app, path("apps", app, "dynos"), command, no_tty, size, env)


@click.command(
    cls=RunCommand,
    name="run:inside",
    section=SECTION,
    example="paas run:inside web.1 bash",
    aliases=("exec", "ps:exec"),
    context_settings=ARGUMENTS,
)
@click.option("--no-tty", is_flag=True, help="No terminal, also where there is one.")
@click.argument("dyno")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@app_options
def run_inside(session: Session, app: str, no_tty: bool, dyno: str, command: tuple[str, ...]) -> None:
    """Run a command inside a running dyno; ends with its exit status."""
    _attached(session, app, path("apps", app, "dynos", dyno), command, no_tty)


@click.command(
    cls=RunCommand,
    name="run:detached",
    section=SECTION,
    example="paas run:detached ./nightly",
    context_settings=ARGUMENTS,
)
@dyno_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@json_option
@app_options
def run_detached(
    session: Session, app: str, size: str | None, env: str | None, command: tuple[str, ...], as_json: bool
) -> None:
    """Run a command in a one-off dyno on its own."""
    line = _line(command)
    body = {"command": line, "attach": False, "env": _variables(env), **({"size": size} if size else {})}
    with output.action(f"Running {line} on ", Styled(app, output.APP)) as step:
        dyno = session.api.post(path("apps", app, "dynos"), body)
        step.done(f"done, {dyno['name']}")
    if as_json:
        output.print_json(dyno)
    else:
        click.echo(f"Its output is in the log: paas logs -a {app} --dyno {dyno['name']}", err=True)


@click.command(cls=RunCommand, name="console", section=SECTION, example="paas console", context_settings=WORDS)
@click.option("--no-tty", is_flag=True, help="No terminal, also where there is one.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@app_options
def console(session: Session, app: str, no_tty: bool, command: tuple[str, ...]) -> None:
    """Run the Procfile's `console` process type, or the stack's command of that name, in a one-off dyno."""
    _attached(session, app, path("apps", app, "dynos"), ("console", *command), no_tty)


@click.command(cls=RunCommand, name="rake", section=SECTION, example="paas rake db:migrate", context_settings=WORDS)
@click.option("--no-tty", is_flag=True, help="No terminal, also where there is one.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@app_options
def rake(session: Session, app: str, no_tty: bool, command: tuple[str, ...]) -> None:
    """Run rake in a one-off dyno."""
    _attached(session, app, path("apps", app, "dynos"), ("rake", *command), no_tty)


def _attached(
    session: Session,
    app: str,
    where: str,
    command: tuple[str, ...],
    no_tty: bool,
    size: str | None = None,
    env: str | None = None,
) -> None:
    terminal = attach.on_terminal() and not no_tty
    line = _line(command)
    variables = {**_variables(env), **attach.environment(terminal)}
    body: dict[str, Any] = {"command": line + attach.ASKS_STATUS, "attach": True, "env": variables}
    if size:
        body["size"] = size
    if not terminal:
        body["force_no_tty"] = True
    home = session.settings.home
    authority = home / "ca" / "ca.pem" if home is not None else None
    with output.action(f"Running {line} on ", Styled(app, output.APP)) as step:
        dyno = session.api.post(where, body)
        step.done(f"up, {dyno['name']}")
    if authority is not None and not authority.exists():
        authority = None
    status = attach.attach(dyno["attach_url"], authority, terminal=terminal)
    if status is None:
        print_warning(f"The connection ended before {dyno['name']} did; `paas ps -a {app}` shows whether it runs on.")
        status = UNKNOWN_STATUS
    sys.exit(status)


def _variables(given: str | None) -> dict[str, str]:
    """As the heroku CLI has them: NAME=VALUE, semicolons between."""
    pairs = [part.partition("=") for part in (given or "").split(";") if part.strip()]
    for name, equals, _ in pairs:
        if not equals or not name.strip():
            raise click.UsageError(
                '--env is written NAME=VALUE, with semicolons between, as in "RAILS_ENV=test;DEBUG=1".'
            )
    return {name.strip(): value for name, _, value in pairs}


def _line(command: tuple[str, ...]) -> str:
    """One word is a shell's line as it is; several are words, each as it was typed. `--` says where they begin."""
    command = command[1:] if command[:1] == ("--",) else command
    if not "".join(command).strip():
        raise CliError("There is no command to run: name one, such as bash.")
    return command[0] if len(command) == 1 else shlex.join(command)


COMMANDS = (run, run_inside, run_detached, console, rake)
