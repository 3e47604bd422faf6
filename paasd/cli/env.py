"""`env`: the variables that point the official client, and `paas`, at this daemon and at nobody else."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from paasd.cli import output, settings
from paasd.cli.errors import print_warning
from paasd.cli.session import PaasCommand, Session, json_option
from paasd.cli.settings import Settings

MASK = "********"


@click.command(
    cls=PaasCommand,
    name="env",
    section="Connect",
    example='eval "$(paas env)"',
)
@click.option("--show", is_flag=True, help="Show the token on a terminal, too.")
@json_option
@click.pass_obj
def env(session: Session, show: bool, as_json: bool) -> None:
    """Print the shell's variables for heroku and paas."""
    found = settings.load_home(session.home)
    masked = output.on_terminal() and not show
    variables = variables_of(found, MASK if masked else found.token)
    additions = path_additions(settings.search_path())
    if as_json:
        output.print_json(variables)
        return
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    if additions:
        lines.append(f'export PATH={shlex.quote(os.pathsep.join(additions))}:"$PATH"')
    click.echo("\n".join(lines))
    if masked:
        print_warning('The token is masked on a terminal. To use all of this: eval "$(paas env)". To see it: --show.')


def variables_of(found: Settings, token: str) -> dict[str, str]:
    """Every variable the unmodified client needs so that nothing goes to a foreign host."""
    return {
        "HEROKU_HOST": found.api,
        "HEROKU_API_KEY": token,
        "HEROKU_PARTICLEBOARD_URL": found.api,
        "HEROKU_DATA_HOST": found.host_name,
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
    """The daemon's own authority, which Node asks for in `heroku run` and behind an https address."""
    file = found.home / "ca" / "ca.pem" if found.home else None
    return {"NODE_EXTRA_CA_CERTS": str(file)} if file is not None and file.exists() else {}


def path_additions(search_path: list[str]) -> list[str]:
    """The project's own `heroku` and `paas`, where they exist and PATH lacks them."""
    venv = Path(sys.prefix)
    candidates = [venv.parent / ".tools" / "bin" / "heroku", venv / "bin" / "paas"]
    return [str(file.parent) for file in candidates if file.exists() and str(file.parent) not in search_path]


COMMANDS = (env,)
