"""`certs` and `pipelines`: what there is none of yet is listed as Heroku lists none. Of what is not here at all it is
said what to do instead.
"""

from __future__ import annotations

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Apps"
CERTIFICATES = (
    "there are no certificates of your own yet: names under the platform's own domain have one (`paas ca`), for others "
    "let a proxy in front end TLS"
)
PIPELINES = "there are no pipelines: push the same commit to each app instead"
INSTEAD = {  # by the topic, what stands before the colon
    "certs": CERTIFICATES,
    "ci": "there is no CI: run the tests where the code is, and push what passed",
    "local": "use `heroku local`, which needs no server",
    "pipelines": PIPELINES,
    "reviewapps": PIPELINES,
    "spaces": "there are no spaces: every app runs on this machine",
    "status": "see `paas router status`, and `paasd doctor` for what is missing",
    "teams": "there are no teams: let others work on an app with `paas access:add`",
    "members": "there are no teams: let others work on an app with `paas access:add`",
}


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
