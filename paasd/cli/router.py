"""`router status|stop|upgrade`: the router's process, through the daemon's API."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, json_option

SECTION = "Machine"


@click.command(
    cls=PaasCommand, name="router:status", section=SECTION, example="paas router status", aliases=("router",)
)
@json_option
@click.pass_obj
def status(session: Session, as_json: bool) -> None:
    """Say whether the router runs, where it listens and which table it serves."""
    _show(session.api.get("/paasd/router"), as_json)


@click.command(cls=PaasCommand, name="router:stop", section=SECTION, example="paas router stop")
@json_option
@click.pass_obj
def stop(session: Session, as_json: bool) -> None:
    """Stop the router once its requests are done; apps are not reachable until it runs again."""
    with output.action("Stopping the router"):
        found = session.api.post("/paasd/router/stop")
    _show(found, as_json)


@click.command(cls=PaasCommand, name="router:upgrade", section=SECTION, example="paas router upgrade")
@json_option
@click.pass_obj
def upgrade(session: Session, as_json: bool) -> None:
    """Put a router of the installed version in the place of the running one."""
    with output.action("Upgrading the router"):
        found = session.api.post("/paasd/router/upgrade")
    _show(found, as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    state = str(found["status"])
    output.header("Machine")
    output.fields(
        [
            ("Status", Styled(state, output.GOOD if state in ("up", "running") else output.BUSY)),
            ("Pid", _text(found.get("pid"))),
            ("Listens on", _text(found.get("listen"))),
            ("Table", _text(found.get("table"))),
            ("Started", output.ago(found.get("started_at")) or None),
        ]
    )


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or None
    return None if value is None else str(value)


COMMANDS = (status, stop, upgrade)
