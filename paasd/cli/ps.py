"""`ps` and `ps:wait`: the dynos of an app."""

from __future__ import annotations

import time
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

RECENT = "version ..; max=200, order=desc"


@click.command(cls=PaasCommand, name="ps", section="Running", example="paas ps")
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@json_option
@app_options
def ps(session: Session, app: str, types: tuple[str, ...], as_json: bool) -> None:
    """List the app's dynos."""
    dynos = session.api.get_all(path("apps", app, "dynos") + "?extended=true")
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


@click.command(cls=PaasCommand, name="ps:wait", section="Running", example="paas ps:wait")
@click.option("-t", "--type", "kind", metavar="TYPE", help="Wait for dynos of this type alone.")
@click.option("-R", "--with-run", is_flag=True, help="Wait for one-off dynos too.")
@click.option("-w", "--wait-interval", type=click.FloatRange(0.1, 600), default=1.0, show_default=True, help="Seconds.")
@json_option
@app_options
def wait(session: Session, app: str, kind: str | None, with_run: bool, wait_interval: float, as_json: bool) -> None:
    """Wait until every dyno runs the newest release (that has not failed)."""
    version = _wanted(session, app)
    with output.action(f"Waiting for every dyno to be running v{version}") as step:
        while True:
            dynos = [
                dyno for dyno in session.api.get_all(path("apps", app, "dynos"))
                if (kind is None or dyno["type"] == kind) and (with_run or dyno["type"] not in ("run", "release"))
            ]  # fmt: skip
            running = [dyno for dyno in dynos if dyno["release"]["version"] == version and dyno["state"] == "up"]
            if len(running) == len(dynos):
                break
            time.sleep(wait_interval)
            version = _wanted(session, app)  # another may have come, or this one failed
        step.done(f"{len(running)} / {len(dynos)}, done")
    if as_json:
        output.print_json(dynos)


def _wanted(session: Session, app: str) -> int:
    recent = session.api.get(path("apps", app, "releases"), range_=RECENT)
    return next((int(release["version"]) for release in recent if release.get("status") != "failed"), 0)


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
    reason = (dyno.get("extended") or {}).get("reason")
    why = [f", {reason}"] if reason else []
    return [Styled(state, style), " ", Styled(output.ago(dyno["updated_at"]), output.DIM), *why]


def _order(dyno: dict[str, Any]) -> tuple[str, int, str]:
    kind, _, number = str(dyno["name"]).rpartition(".")
    return (kind, int(number) if number.isdigit() else 0, number)


COMMANDS = (ps, wait)
