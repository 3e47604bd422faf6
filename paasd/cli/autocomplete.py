"""`autocomplete`: what makes a shell complete `paas` commands and options at a TAB."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from paasd.cli.errors import CliError
from paasd.cli.session import PaasCommand
from paasd.cli.settings import environment

SHELLS = ("bash", "zsh", "fish")
# bash takes a colon for the end of a word, and would complete `config:se` as `se`.
COLONS = "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}\n"
# zsh completes nothing before its start-up file has said so. The first line is for a file in $fpath.
FIRST_OF_ZSH = "#compdef paas\n"
BEGUN = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }\n"


@click.command(
    cls=PaasCommand,
    name="autocomplete",
    section="Connect",
    example='eval "$(paas autocomplete)"',
    aliases=("autocomplete:script",),
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def autocomplete(context: click.Context, shell: str | None) -> None:
    """Print what makes this shell ($SHELL, or one named) complete commands at a TAB; for its start-up file."""
    name = shell or Path(environment().get("SHELL", "")).name
    found = get_completion_class(name) if name in SHELLS else None
    if found is None:
        raise CliError(f"Which shell is it? Name one: paas autocomplete {'|'.join(SHELLS)}.")
    script = found(context.find_root().command, {}, "paas", "_PAAS_COMPLETE").source()
    if name == "zsh":
        script = FIRST_OF_ZSH + BEGUN + script.removeprefix(FIRST_OF_ZSH)
    click.echo((COLONS if name == "bash" else "") + script)


COMMANDS = (autocomplete,)
