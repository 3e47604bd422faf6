"""`config`, `config:get`, `config:set` and `config:unset`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from paasd.cli import output, rollout
from paasd.cli.client import path
from paasd.cli.output import Styled
from paasd.cli.rollout import Release
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Config"
_PLAIN = re.compile(r"[A-Za-z0-9_./%+~-]*")


@click.command(cls=PaasCommand, name="config", section=SECTION, example="paas config")
@click.option("-s", "--shell", is_flag=True, help="Print NAME=value lines for a shell.")
@json_option
@app_options
def show(session: Session, app: str, shell: bool, as_json: bool) -> None:
    """Show the app's config vars."""
    found: dict[str, str] = session.api.get(path("apps", app, "config-vars"))
    if as_json:
        output.print_json(found)
    elif shell:
        for name in sorted(found):
            click.echo(f"{name}={_quoted(found[name])}")
    else:
        output.header(output.app_name(app), " Config Vars")
        output.fields(output.pairs_of(found))


@click.command(cls=PaasCommand, name="config:get", section=SECTION, example="paas config:get GREETING")
@click.argument("names", nargs=-1, required=True, metavar="KEY...")
@json_option
@app_options
def get(session: Session, app: str, names: tuple[str, ...], as_json: bool) -> None:
    """Print a config var's value."""
    found: dict[str, str] = session.api.get(path("apps", app, "config-vars"))
    if as_json:
        values = [{"key": name, "value": found.get(name)} for name in names]
        output.print_json(values if len(values) > 1 else values[0])
        return
    for name in names:
        click.echo(found.get(name, ""))


@click.command(
    cls=PaasCommand,
    name="config:set",
    section=SECTION,
    example="paas config:set GREETING=hello",
    aliases=("config:add",),
)
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE...")
@json_option
@app_options
def set_vars(session: Session, app: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Set config vars, as a new release; waits until it is served."""
    values: dict[str, str | None] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            # Not the argument itself: whoever forgets the name may have typed a secret.
            raise click.UsageError("A config var must be given as KEY=VALUE, as in GREETING=hello.")
        values[name] = value
    config = change(session, app, "Setting", values, as_json)
    if as_json:
        output.print_json(config)
    else:
        output.fields(output.pairs_of({name: config[name] for name in values if name in config}))


@click.command(
    cls=PaasCommand,
    name="config:unset",
    section=SECTION,
    example="paas config:unset GREETING",
    aliases=("config:remove",),
)
@click.argument("names", nargs=-1, required=True, metavar="KEY...")
@json_option
@app_options
def unset_vars(session: Session, app: str, names: tuple[str, ...], as_json: bool) -> None:
    """Remove config vars, as a new release; waits until it is served."""
    config = change(session, app, "Unsetting", dict.fromkeys(names), as_json)
    if as_json:
        output.print_json(config)


def change(session: Session, app: str, verb: str, values: Mapping[str, str | None], as_json: bool) -> dict[str, Any]:
    """Write, then wait for the release it made -> all config vars."""
    api = session.api
    names = ", ".join(values)
    with output.action(f"{verb} ", Styled(names, output.NAME), " and restarting ", Styled(app, output.APP)) as step:
        before = rollout.latest(api, app)["version"]
        config: dict[str, Any] = api.patch(path("apps", app, "config-vars"), values)
        made: Release = rollout.latest(api, app)
        if made["version"] == before:
            step.done(f"done, nothing to change since v{before}")
            return config
        rollout.follow(api, app, made, step, quiet=as_json)
    return config


def _quoted(value: str) -> str:
    """For a POSIX shell; a value on several lines stays one word."""
    return value if value and _PLAIN.fullmatch(value) else "'" + value.replace("'", "'\"'\"'") + "'"


COMMANDS = (show, get, set_vars, unset_vars)
