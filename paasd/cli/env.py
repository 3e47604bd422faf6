"""`env`: the variables that point the official client, and `paas`, at this daemon and at nobody else; `heroku` with
them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from paasd.cli import git_config, output, settings
from paasd.cli.errors import CliError, print_warning
from paasd.cli.session import PaasCommand, Session, json_option
from paasd.cli.settings import Settings

MASK = "********"
AUTHORITY = "NODE_EXTRA_CA_CERTS"
SHELLS = ("sh", "bash", "zsh", "fish")


@click.command(cls=PaasCommand, name="env", section="Connect", example='eval "$(paas env)"')
@click.option("--show", is_flag=True, help="Show the token on a terminal, too.")
@click.option("--shell", type=click.Choice(SHELLS), default="sh", help="Whose syntax (sh, which bash and zsh read).")
@click.option("--unset", is_flag=True, help="Print what takes all of it back.")
@json_option
@click.pass_obj
def env(session: Session, show: bool, shell: str, unset: bool, as_json: bool) -> None:
    """Print the shell's variables for heroku and paas."""
    if unset:
        click.echo("\n".join(_unset(shell, settings.environment())))
        return
    found = settings.load_home(session.home)
    masked = output.on_terminal() and not show
    variables = variables_of(found, MASK if masked else found.token)
    if as_json:
        output.print_json(variables)
        return
    click.echo("\n".join(_lines(shell, variables, path_additions(settings.search_path()))))
    if masked:
        print_warning('The token is masked on a terminal. To use all of this: eval "$(paas env)". To see it: --show.')


@click.command(
    cls=PaasCommand,
    name="heroku",
    section="Connect",
    example="paas heroku releases",
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    },
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def heroku(session: Session, arguments: tuple[str, ...]) -> None:
    """Run the official heroku CLI against this daemon, and only it."""
    found = settings.load_home(session.home)
    program = settings.find_program("heroku", path_additions(settings.search_path()))
    if program is None:
        raise CliError("There is no heroku CLI here: run `make heroku-cli`, or npm install -g heroku@11.10.0.")
    settings.become(program, arguments, variables_of(found, found.token))


def _unset(shell: str, environment: Mapping[str, str]) -> list[str]:
    changed, gone = git_config.without_setting(environment, environment.get(AUTHORITY, ""))
    names = [*variables_of(Settings("", "", "", None), ""), AUTHORITY, "PAASD_HOME", *gone]
    return [*(f"set -e {name}" if shell == "fish" else f"unset {name}" for name in names), *_lines(shell, changed, [])]


def _lines(shell: str, variables: Mapping[str, str], additions: Sequence[str]) -> list[str]:
    if shell == "fish":
        quoted = {name: "'" + value.replace("\\", r"\\").replace("'", r"\'") + "'" for name, value in variables.items()}
        path = [f"set -gx PATH {' '.join(map(shlex.quote, additions))} $PATH"] if additions else []
        return [*(f"set -gx {name} {value}" for name, value in quoted.items()), *path]
    path = [f'export PATH={shlex.quote(os.pathsep.join(additions))}:"$PATH"'] if additions else []
    return [*(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), *path]


def variables_of(found: Settings, token: str) -> dict[str, str]:
    """Every variable the unmodified client needs so that nothing goes to a foreign host."""
    return {
        "HEROKU_HOST": found.api,
        "HEROKU_API_KEY": token,
        "HEROKU_PARTICLEBOARD_URL": found.api,
        **dict.fromkeys(("HEROKU_DATA_HOST", "HEROKU_POSTGRESQL_HOST", "HEROKU_REDIS_HOST"), found.host_name),
        "HEROKU_LOGIN_HOST": found.api,
        "DISABLE_TELEMETRY": "true",
        "HEROKU_DISABLE_AUTOUPDATE": "1",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "1",
        "NODE_NO_WARNINGS": "1",
        "HEROKU_NETRC_WRITE": "true",
        **authority_of(found),
        **({"PAASD_HOME": str(found.home)} if found.home else {}),
    }


def authority_of(found: Settings) -> dict[str, str]:
    """The daemon's own authority: Node asks for it in `heroku run`, git in `heroku git:clone` (for this host alone)."""
    file = found.home / "ca" / "ca.pem" if found.home else None
    if file is None or not file.exists():
        return {}
    key = f"http.https://{found.host}/.sslCAInfo"
    return {AUTHORITY: str(file), **git_config.with_setting(settings.environment(), key, str(file))}


def path_additions(search_path: list[str]) -> list[str]:
    """The project's own `heroku` and `paas`, where they exist and PATH lacks them."""
    venv = Path(sys.prefix)
    candidates = [venv.parent / ".tools" / "bin" / "heroku", venv / "bin" / "paas"]
    return [str(file.parent) for file in candidates if file.exists() and str(file.parent) not in search_path]


COMMANDS = (env, heroku)
