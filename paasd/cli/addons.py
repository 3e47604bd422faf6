"""`addons` and its kin: databases and other services, as add-ons of apps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Cell, Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option, maybe_app_options

SECTION = "Add-ons"
STATES = {"provisioning": "creating", "provisioned": "created", "deprovisioning": "destroying"}
LOOKS = {"provisioned": output.GOOD, "provisioning": output.BUSY, "deprovisioning": output.BUSY}
WAIT_SECONDS = 1.0
KEPT_BY = ("container", "embedded", "shared")  # partners keep nothing


@click.command(cls=PaasCommand, name="addons", section=SECTION, example="paas addons")
@click.option("-A", "--all", "every", is_flag=True, help="Of all apps.")
@click.option("--destroyed", is_flag=True, help="Those whose data is still kept.")
@json_option
@maybe_app_options
def list_addons(session: Session, app: str | None, every: bool, destroyed: bool, as_json: bool) -> None:
    """List the app's add-ons and what they are attached to; without an app, those of all."""
    if every or destroyed or app is None:
        found = session.api.get_all("/addons?state=destroyed" if destroyed else "/addons")
        found = [one for one in found if every or app is None or one["app"]["name"] in (app, "")]
    else:
        found = session.api.get_all(path("apps", app, "addons"))
    attached = [] if destroyed else session.api.get_all("/addon-attachments")
    if app is not None and not every and not destroyed:
        own = {one["id"] for one in found}
        others = [one for one in attached if one["app"]["name"] == app and one["addon"]["id"] not in own]
        found += [session.api.get(path("addons", one["addon"]["id"])) for one in others]
    if as_json:
        output.print_json([{**one, "attachments": _of(one, attached)} for one in found])
    elif not found:
        output.write(["No add-ons." if app is None else f"No add-ons for app {app}."])
    else:
        rows: list[list[Cell]] = [
            [
                one["app"]["name"] or "(destroyed)",
                [Styled(one["name"], output.NAME)],
                one["plan"]["name"],
                "free",
                _state(one),
                ", ".join(f"{each['app']['name']}::{each['name']}" for each in _of(one, attached)),
            ]
            for one in found
        ]
        output.table(("Owning app", "Add-on", "Plan", "Price", "State", "Attachments"), rows, flexible=5)


@click.command(cls=PaasCommand, name="addons:services", section=SECTION, example="paas addons:services")
@json_option
@click.pass_obj
def services(session: Session, as_json: bool) -> None:
    """List the services that there are add-ons of."""
    found = session.api.get_all("/addon-services")
    if as_json:
        output.print_json(found)
    else:
        rows = [[one["name"], one["human_name"], one["state"]] for one in found]
        output.table(("Slug", "Name", "State"), rows, flexible=1)


@click.command(cls=PaasCommand, name="addons:plans", section=SECTION, example="paas addons:plans postgresql")
@click.argument("service")
@json_option
@click.pass_obj
def plans(session: Session, service: str, as_json: bool) -> None:
    """List a service's plans and their bounds."""
    found = session.api.get_all(path("addon-services", service, "plans"))
    if as_json:
        output.print_json(found)
    else:
        rows = [
            ["default" if one["default"] else "", one["name"], one["human_name"], one["description"]] for one in found
        ]
        output.table(("", "Slug", "Name", "Bounds"), rows, flexible=3)


@click.command(
    cls=PaasCommand,
    name="addons:create",
    section=SECTION,
    example="paas addons:create postgresql:mini --wait",
    aliases=("addons:add",),
)
@click.argument("plan", metavar="SERVICE:PLAN")
@click.option("--as", "attach_as", metavar="NAME", help="What its config vars begin with (DATABASE).")
@click.option("--name", metavar="NAME", help="What the add-on is called.")
@click.option("-o", "--option", "options", multiple=True, metavar="NAME[=VALUE]", help="What its partner is told.")
@click.option("--wait", is_flag=True, help="Until the app's release with it is recorded.")
@json_option
@app_options
def create(
    session: Session,
    app: str,
    plan: str,
    attach_as: str | None,
    name: str | None,
    options: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Create an add-on and attach it to the app."""
    body: dict[str, Any] = {"plan": {"name": plan}, "attachment": {"name": attach_as}, "name": name}
    if options:
        body["config"] = {each.partition("=")[0]: each.partition("=")[2] or True for each in options}
    with output.action("Creating ", Styled(plan, output.NAME), " on ", Styled(app, output.APP)) as step:
        made = session.api.post(path("apps", app, "addons"), body)
        step.done("free")
    if wait:
        made = _wait(session, made, "Waiting for ", "provisioning")
    if as_json:
        output.print_json(made)
    elif made["state"] == "provisioned":
        output.write(["Created ", Styled(made["name"], output.NAME), " as ", ", ".join(made["config_vars"])])
    else:
        output.write([Styled(made["name"], output.NAME), " is being created; the app gets it by a release of its own."])
        click.echo(f"Run paas addons:wait {made['name']} to wait for it.")


@click.command(cls=PaasCommand, name="addons:wait", section=SECTION, example="paas addons:wait")
@click.argument("addon", required=False)
@json_option
@app_options
def wait(session: Session, app: str, addon: str | None, as_json: bool) -> None:
    """Wait until an add-on of the app is up or gone, or all that are under way."""
    found = (
        [session.api.get(path("apps", app, "addons", addon))]
        if addon
        else session.api.get_all(path("apps", app, "addons"))
    )
    done = [
        _wait(session, one, "Waiting for ", one["state"])
        for one in found
        if one["state"] in ("provisioning", "deprovisioning")
    ]
    if as_json:
        output.print_json(done)
    elif not done:
        click.echo("Nothing is under way.")
    for one in done if not as_json else []:
        if one["state"] == "provisioned":
            output.write(["Created ", Styled(one["name"], output.NAME), " as ", ", ".join(one["config_vars"])])


@click.command(cls=PaasCommand, name="addons:info", section=SECTION, example="paas addons:info DATABASE")
@click.argument("addon")
@json_option
@maybe_app_options
def info(session: Session, app: str | None, addon: str, as_json: bool) -> None:
    """Show an add-on: its plan, what it is attached to, how it is."""
    found = _resolve(session, app, addon)
    attached = session.api.get_all(path("addons", found["id"], "addon-attachments"))
    if as_json:
        output.print_json({**found, "attachments": attached})
        return
    output.header(Styled(found["name"], output.NAME))
    output.fields(
        [
            ("Plan", found["plan"]["name"]),
            ("Price", "free"),
            ("Attachments", [f"{one['app']['name']}::{one['name']}" for one in attached] or None),
            ("Owning app", found["app"]["name"]),
            ("Installed at", output.ago(found["created_at"])),
            ("State", _state(found)),
            ("Provider", found["provider_id"]),
        ]
    )


@click.command(cls=PaasCommand, name="addons:open", section=SECTION, example="paas addons:open DATABASE")
@click.argument("addon")
@click.option("--show-url", is_flag=True, help="Print the address only; it opens the page for 2 to 3 hours.")
@json_option
@maybe_app_options
def open_dashboard(session: Session, app: str | None, addon: str, show_url: bool, as_json: bool) -> None:
    """Open an add-on's page in a web browser: how it is, or its partner's dashboard."""
    url = _resolve(session, app, addon)["web_url"]
    if url is None:
        raise CliError("This token may not open it: that needs the scope write-protected; `paas login` gives all.")
    if as_json or show_url:
        output.print_json({"url": url}) if as_json else click.echo(url)
        return
    output.write(["Opening ", Styled(addon, output.NAME), "..."])
    sys.stdout.flush()
    import webbrowser

    webbrowser.open(url)


@click.command(
    cls=PaasCommand,
    name="addons:destroy",
    section=SECTION,
    example="paas addons:destroy DATABASE -c shop",
    aliases=("addons:remove",),
)
@click.argument("addon")
@click.option("-c", "--confirm", metavar="APP", help="The owning app's name: don't ask.")
@click.option("-f", "--force", is_flag=True, help="Even if other apps use it.")
@click.option("--wait", is_flag=True, help="Until it is gone.")
@json_option
@maybe_app_options
def destroy(
    session: Session, app: str | None, addon: str, confirm: str | None, force: bool, wait: bool, as_json: bool
) -> None:
    """Destroy an add-on; its data is kept for 7 days (addons:undestroy), but for a partner's."""
    found = _resolve(session, app, addon)
    owner = str(found["app"]["name"])
    _confirm(owner, str(found["name"]), confirm)
    with output.action("Destroying ", Styled(found["name"], output.NAME), " on ", Styled(owner, output.APP)) as step:
        gone = session.api.delete(path("apps", owner, "addons", found["id"]), {"force": force})
        step.done("pending" if gone["state"] == "deprovisioning" and not wait else "done")
    if wait:
        gone = _wait(session, gone, "Waiting for ", "deprovisioning")
    if as_json:
        output.print_json(gone)
    elif gone["provider_id"] in KEPT_BY:
        click.echo(f"Its data is kept for 7 days: paas addons:undestroy {found['name']} -a {owner}")


@click.command(cls=PaasCommand, name="addons:undestroy", section=SECTION, example="paas addons:undestroy orders")
@click.argument("addon")
@click.option("--as", "attach_as", metavar="NAME", help="What its config vars begin with.")
@json_option
@app_options
def undestroy(session: Session, app: str, addon: str, attach_as: str | None, as_json: bool) -> None:
    """Have a destroyed add-on again, with its data."""
    with output.action("Bringing back ", Styled(addon, output.NAME), " on ", Styled(app, output.APP)):
        back = session.api.post(
            path("apps", app, "addons", "actions", "undestroy"), {"addon": addon, "name": attach_as}
        )
    _tell(back, as_json, lambda: output.write(["It is attached as ", ", ".join(back["config_vars"])]))


@click.command(
    cls=PaasCommand,
    name="addons:upgrade",
    section=SECTION,
    example="paas addons:upgrade DATABASE small",
    aliases=("addons:downgrade",),
)
@click.argument("addon")
@click.argument("plan")
@json_option
@maybe_app_options
def upgrade(session: Session, app: str | None, addon: str, plan: str, as_json: bool) -> None:
    """Give an add-on another plan: its bounds of memory and disk."""
    found = _resolve(session, app, addon)
    with output.action("Changing ", Styled(found["name"], output.NAME), " from ", found["plan"]["name"], " to ", plan):
        changed = session.api.patch(path("apps", found["app"]["name"], "addons", found["id"]), {"plan": {"name": plan}})
    _tell(changed, as_json)


@click.command(cls=PaasCommand, name="addons:rename", section=SECTION, example="paas addons:rename DATABASE orders")
@click.argument("addon")
@click.argument("name")
@json_option
@maybe_app_options
def rename(session: Session, app: str | None, addon: str, name: str, as_json: bool) -> None:
    """Call an add-on something else; its address stays."""
    found = _resolve(session, app, addon)
    changed = session.api.patch(path("apps", found["app"]["name"], "addons", found["id"]), {"name": name})
    _tell(changed, as_json, lambda: click.echo(f"{found['name']} successfully renamed to {changed['name']}."))


@click.command(cls=PaasCommand, name="addons:attach", section=SECTION, example="paas addons:attach orders -a till")
@click.argument("addon")
@click.option("--as", "attach_as", metavar="NAME", help="What its config vars begin with.")
@click.option("-c", "--confirm", metavar="APP", help="The app's name: replace what has that name.")
@json_option
@app_options
def attach(session: Session, app: str, addon: str, attach_as: str | None, confirm: str | None, as_json: bool) -> None:
    """Attach an add-on of another app to this one, too."""
    body = {"addon": {"name": addon}, "app": {"name": app}, "name": attach_as, "confirm": confirm}
    with output.action("Attaching ", Styled(addon, output.NAME), " to ", Styled(app, output.APP)):
        made = session.api.post("/addon-attachments", body)
    _tell(made, as_json, lambda: click.echo(f"{made['addon']['name']} is attached as {made['name']}."))


@click.command(cls=PaasCommand, name="addons:detach", section=SECTION, example="paas addons:detach ORDERS -a till")
@click.argument("attachment")
@json_option
@app_options
def detach(session: Session, app: str, attachment: str, as_json: bool) -> None:
    """Take an attachment from the app; the add-on stays."""
    found = session.api.get(path("apps", app, "addon-attachments", attachment))
    words = ("Detaching ", Styled(found["name"], output.NAME), " to ", found["addon"]["name"], " from ")
    with output.action(*words, Styled(app, output.APP)):
        gone = session.api.delete(path("addon-attachments", found["id"]))
    _tell(gone, as_json)


def _resolve(session: Session, app: str | None, addon: str) -> dict[str, Any]:
    """By any of its names on the app, else by its own."""
    found: list[dict[str, Any]] = session.api.post("/actions/addons/resolve", {"addon": addon, "app": app})
    return found[0]


def _wait(session: Session, addon: dict[str, Any], word: str, while_: str) -> dict[str, Any]:
    """Until it leaves that state; as it then is. One that could not be had is an error of the API."""
    found = addon
    with output.action(word, Styled(addon["name"], output.NAME)):
        while found["state"] == while_:
            time.sleep(WAIT_SECONDS)
            found = session.api.get(path("addons", addon["id"]))
    return found


def _confirm(app: str, addon: str, given: str | None) -> None:
    if given is None:
        if not sys.stdin.isatty():
            raise CliError(f"This would destroy {addon}: to go on, add --confirm {app}.")
        click.echo(f"This will destroy {addon} of {app}. To go on, type {app}, or add --confirm {app}.", err=True)
        given = click.prompt(">", prompt_suffix=" ", err=True)
    if given != app:
        raise CliError(f"Confirmation {given} did not match {app}: nothing was destroyed.")


def _tell(found: dict[str, Any], as_json: bool, say: Callable[[], None] = lambda: None) -> None:
    if as_json:
        output.print_json(found)
    else:
        say()


def _of(addon: dict[str, Any], attached: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in attached if one["addon"]["id"] == addon["id"]]


def _state(addon: dict[str, Any]) -> Cell:
    state = str(addon["state"])
    return [Styled(STATES.get(state, state), LOOKS.get(state, output.BAD))]


COMMANDS = (
    *(list_addons, services, plans, create, wait, info, open_dashboard, destroy, undestroy, upgrade, rename),
    *(attach, detach),
)
