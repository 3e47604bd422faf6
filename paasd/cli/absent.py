"""`certs` and `pipelines`: what there is none of yet is listed as Heroku lists none."""

from __future__ import annotations

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Apps"


@click.command(cls=PaasCommand, name="certs", section=SECTION, example="paas certs")
@json_option
@app_options
def certs(session: Session, app: str, as_json: bool) -> None:
    """List the app's own certificates: none, so far; names under the platform's domain have one (`paas ca`)."""
    found = session.api.get_all(path("apps", app, "sni-endpoints"))
    if as_json:
        output.print_json(found)
    else:
        output.write([output.app_name(app), " has no SSL certificates."] if not found else _names(found))


@click.command(cls=PaasCommand, name="pipelines", section=SECTION, example="paas pipelines")
@json_option
@click.pass_obj
def pipelines(session: Session, as_json: bool) -> None:
    """List your pipelines: none, so far."""
    found = session.api.get_all("/pipelines")
    if as_json:
        output.print_json(found)
        return
    output.header("My Pipelines")
    if found:
        output.write(_names(found))


def _names(found: list[dict[str, object]]) -> str:
    return ", ".join(sorted(str(one["name"]) for one in found))


COMMANDS = (certs, pipelines)
