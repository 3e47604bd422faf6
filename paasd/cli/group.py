"""The command list: Heroku's colon names (a space does as well), other names, what was meant, and the help's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import click

from paasd.cli.absent import INSTEAD
from paasd.cli.session import PaasCommand

SECTIONS = ("Connect", "Apps", "Releases", "Config", "Add-ons", "Data", "Running", "Access", "Machine")


ALIKE = 0.68  # of 1, as difflib counts: `confg` is meant to be `config`, but `version` is not `sessions`


class ReaderGoneError(Exception):
    """Whoever read our output has closed it: no failure of ours. (click itself would call it one.)"""


class PaasGroup(click.Group):
    """Every command of `paas`."""

    def __init__(self, name: str, commands: Iterable[PaasCommand], help_: str) -> None:
        listed = list(commands)
        version = click.version_option(package_name="paasd", prog_name="paas", message="%(prog)s %(version)s")
        super().__init__(
            name,
            {str(c.name): c for c in listed},
            help=help_,
            no_args_is_help=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        version(self)
        self._listed = listed
        self._aliases = {alias: command for command in listed for alias in command.aliases}

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`paas` alone is a question, no mistake."""
        return super().parse_args(ctx, args or ["--help"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._aliases.get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [str(command.name) for command in self._listed]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if len(args) > 1 and args[1] and self.get_command(ctx, f"{args[0]}:{args[1]}"):
            args = [f"{args[0]}:{args[1]}", *args[2:]]
        if args[0] == "version":
            args = ["--version"]
        if args[0] == "help":
            args = [*args[1:], "--help"]
            if args == ["--help"]:
                click.echo(ctx.get_help())
                ctx.exit()
            return self.resolve_command(ctx, args)
        command = self.get_command(ctx, args[0])
        if command is None and not args[0].startswith("-"):
            self._unknown(args[0])
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """An example of each command, under its section, with what it does."""
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        width = max(len(_example(command)) for command in self._listed if len(_example(command)) < 40)
        for section in SECTIONS:
            rows = [command for command in self._listed if command.section == section]
            formatter.write(f"\n{click.style(section, bold=True)}\n")
            for command in rows:
                formatter.write(f"  {_example(command).ljust(width)}  {command.get_short_help_str(80).rstrip('.')}\n")
        formatter.write("\n`paas COMMAND --help` explains one of them. The app is found from this repository's git\n")
        formatter.write("remotes, or named with -a APP. Every command takes --home DIR, and --json where it prints.\n")

    def _unknown(self, word: str) -> NoReturn:
        import difflib

        topic = word.partition(":")[0]
        if topic in INSTEAD:
            raise click.UsageError(f"{word} is not a paas command: {INSTEAD[topic]}.")
        known = [*self.commands, *self._aliases]
        close = difflib.get_close_matches(word, known, n=1, cutoff=ALIKE)
        meant = f"did you mean `paas {close[0]}`? " if close else ""
        raise click.UsageError(f"{word} is not a paas command: {meant}`paas --help` lists them all.")


def _example(command: PaasCommand) -> str:
    return "paas git:credentials" if command.name == "git:credentials" else command.example.splitlines()[0]
