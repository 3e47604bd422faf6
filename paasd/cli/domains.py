"""`domains`, `domains:add`, `:info`, `:wait`, `:remove` and `:clear`: host names of an app's own."""

from __future__ import annotations

import time
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Apps"


@click.command(cls=PaasCommand, name="domains", section=SECTION, example="paas domains")
@json_option
@app_options
def list_domains(session: Session, app: str, as_json: bool) -> None:
    """List the host names that the app answers for."""
    found = session.api.get_all(path("apps", app, "domains"))
    if as_json:
        output.print_json(found)
        return
    output.header(output.app_name(app), " Heroku Domain")
    for domain in found:
        if domain["kind"] == "heroku":
            output.write(domain["hostname"])
    custom = sorted((domain for domain in found if domain["kind"] == "custom"), key=lambda one: str(one["hostname"]))
    if custom:
        click.echo()
        output.header(output.app_name(app), " Custom Domains")
        rows = [(one["hostname"], _record(one["hostname"]), one["cname"] or "") for one in custom]
        output.table(("Domain Name", "DNS Record Type", "DNS Target"), rows, flexible=0)


@click.command(cls=PaasCommand, name="domains:add", section=SECTION, example="paas domains:add www.example.org")
@click.argument("hostname")
@json_option
@app_options
def add(session: Session, app: str, hostname: str, as_json: bool) -> None:
    """Serve the app at a host name too; *.example.org stands for all names below it that nobody else has."""
    with output.action("Adding ", Styled(hostname, output.NAME), " to ", Styled(app, output.APP)):
        added = session.api.post(path("apps", app, "domains"), {"hostname": hostname, "sni_endpoint": None})
    if as_json:
        output.print_json(added)
    else:
        output.write(
            ["Have your DNS lead ", Styled(added["hostname"], output.NAME), f" to this machine (as {added['cname']})."]
        )


@click.command(cls=PaasCommand, name="domains:info", section=SECTION, example="paas domains:info www.example.org")
@click.argument("hostname")
@json_option
@app_options
def info(session: Session, app: str, hostname: str, as_json: bool) -> None:
    """Show one of the app's host names."""
    found: dict[str, Any] = session.api.get(path("apps", app, "domains", hostname))
    if as_json:
        output.print_json(found)
    else:
        shown = {**found, "app": found["app"]["name"]}
        output.fields([(name, None if value is None else str(value)) for name, value in sorted(shown.items())])


@click.command(cls=PaasCommand, name="domains:wait", section=SECTION, example="paas domains:wait")
@click.argument("hostname", required=False)
@json_option
@app_options
def wait(session: Session, app: str, hostname: str | None, as_json: bool) -> None:
    """Wait until a host name is served, or all that were added."""
    where = path("apps", app, "domains")
    names = (
        [hostname] if hostname else [one["hostname"] for one in session.api.get_all(where) if one["kind"] == "custom"]
    )
    served = []
    for name in names:
        with output.action("Waiting for ", Styled(name, output.NAME)):
            while (found := session.api.get(path("apps", app, "domains", name)))["status"] == "pending":
                time.sleep(1)
        served.append(found)
    if as_json:
        output.print_json(served)


@click.command(cls=PaasCommand, name="domains:remove", section=SECTION, example="paas domains:remove www.example.org")
@click.argument("hostname")
@json_option
@app_options
def remove(session: Session, app: str, hostname: str, as_json: bool) -> None:
    """Serve the app at a host name no more."""
    with output.action("Removing ", Styled(hostname, output.NAME), " from ", Styled(app, output.APP)):
        removed = session.api.delete(path("apps", app, "domains", hostname))
    if as_json:
        output.print_json(removed)


@click.command(cls=PaasCommand, name="domains:clear", section=SECTION, example="paas domains:clear -a shop")
@json_option
@app_options
def clear(session: Session, app: str, as_json: bool) -> None:
    """Remove all host names that were added to the app."""
    with output.action("Removing all domains from ", Styled(app, output.APP)):
        found = [one for one in session.api.get_all(path("apps", app, "domains")) if one["kind"] == "custom"]
        removed = [session.api.delete(path("apps", app, "domains", one["hostname"])) for one in found]
    if as_json:
        output.print_json(removed)


def _record(hostname: str) -> str:
    """The kind of DNS record: a name right below a top-level domain can't be a CNAME."""
    return "ALIAS or ANAME" if hostname.count(".") == 1 else "CNAME"


COMMANDS = (list_domains, add, info, wait, remove, clear)
