"""`ps`: the dynos of an app."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option


@click.command(cls=PaasCommand, name="ps", section="Running", example="paas ps")
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@json_option
@app_options
def ps(session: Session, app: str, types: tuple[str, ...], as_json: bool) -> None:
    """List the app's dynos."""
    dynos = session.api.get_all(path("apps", app, "dynos"))
    for wanted in types:
        if not any(dyno["type"] == wanted for dyno in dynos):
            raise CliError(f"No {wanted} dynos on {app}: `paas ps -a {app}` lists all there are.")
    chosen = sorted((dyno for dyno in dynos if not types or dyno["type"] in types), key=_order)
    if as_json:
        output.print_json(chosen)
    elif not chosen:
        output.write(["No dynos on ", output.app_name(app)])
    else:
        _show(chosen)


def _show(dynos: list[dict[str, Any]]) -> None:
    one_off = [dyno for dyno in dynos if dyno["type"] == "run"]
    if one_off:
        output.header(Styled("run", "bold"), f": one-off processes ({len(one_off)})")
        for dyno in one_off:
            output.write([dyno["name"], f" ({dyno['size']}): ", *_state(dyno), f": {dyno['command']}"])
        click.echo()
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for dyno in dynos:
        if dyno["type"] != "run":
            groups.setdefault((dyno["type"], dyno["command"]), []).append(dyno)
    for (kind, command), group in groups.items():
        output.header(Styled(kind, "bold"), f" ({group[0]['size']}): {command} ({len(group)})")
        for dyno in group:
            output.write([dyno["name"], ": ", *_state(dyno)])
        click.echo()


def _state(dyno: dict[str, Any]) -> list[str | Styled]:
    state = str(dyno["state"])
    style = {"up": output.GOOD, "crashed": output.BAD}.get(state, output.BUSY)
    return [Styled(state, style), " ", Styled(output.ago(dyno["updated_at"]), output.DIM)]


def _order(dyno: dict[str, Any]) -> tuple[str, int, str]:
    kind, _, number = str(dyno["name"]).rpartition(".")
    return (kind, int(number) if number.isdigit() else 0, number)


COMMANDS = (ps,)
