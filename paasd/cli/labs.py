"""`features*` of an app, and `labs*`: those of the account, and what of an app's is not general yet."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import ApiError, CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option, maybe_app_options

SECTION, LABS_SECTION = "Apps", "Access"


@click.command(cls=PaasCommand, name="features", section=SECTION, example="paas features")
@json_option
@app_options
def features(session: Session, app: str, as_json: bool) -> None:
    """List the app's features, [+] before those that are on."""
    found = session.api.get_all(path("apps", app, "features"))
    if as_json:
        output.print_json(sorted(found, key=_name))
        return
    output.header("App Features ", output.app_name(app))
    _list(found)


@click.command(cls=PaasCommand, name="features:info", section=SECTION, example="paas features:info preboot")
@click.argument("feature")
@json_option
@app_options
def feature_info(session: Session, app: str, feature: str, as_json: bool) -> None:
    """Show one of the app's features."""
    _show(session.api.get(path("apps", app, "features", feature)), as_json)


@click.command(cls=PaasCommand, name="features:enable", section=SECTION, example="paas features:enable preboot")
@click.argument("feature")
@json_option
@app_options
def feature_enable(session: Session, app: str, feature: str, as_json: bool) -> None:
    """Turn a feature of the app on."""
    _turn(session, path("apps", app, "features", feature), feature, Styled(app, output.APP), True, as_json)


@click.command(cls=PaasCommand, name="features:disable", section=SECTION, example="paas features:disable preboot")
@click.argument("feature")
@json_option
@app_options
def feature_disable(session: Session, app: str, feature: str, as_json: bool) -> None:
    """Turn a feature of the app off."""
    _turn(session, path("apps", app, "features", feature), feature, Styled(app, output.APP), False, as_json)


@click.command(cls=PaasCommand, name="labs", section=LABS_SECTION, example="paas labs")
@json_option
@maybe_app_options
def labs(session: Session, app: str | None, as_json: bool) -> None:
    """List experimental features, your account's and the app's: none, so far."""
    own = session.api.get_all("/account/features")
    of_app = None if app is None else session.api.get_all(path("apps", app, "features"))
    if as_json:
        output.print_json({"app": of_app, "user": own})
        return
    output.header("User Features ", Styled(session.api.get("/account")["email"], output.NAME))
    _list([one for one in own if one["state"] != "general"])
    if app is not None:
        click.echo()
        output.header("App Features ", output.app_name(app))
        _list([one for one in of_app or () if one["state"] != "general"])


@click.command(cls=PaasCommand, name="labs:info", section=LABS_SECTION, example="paas labs:info FEATURE")
@click.argument("feature")
@json_option
@maybe_app_options
def lab_info(session: Session, app: str | None, feature: str, as_json: bool) -> None:
    """Show a feature of your account's, else of the app's."""
    _show(session.api.get(_where(session, app, feature)), as_json)


@click.command(cls=PaasCommand, name="labs:enable", section=LABS_SECTION, example="paas labs:enable FEATURE")
@click.argument("feature")
@json_option
@maybe_app_options
def lab_enable(session: Session, app: str | None, feature: str, as_json: bool) -> None:
    """Turn a feature of your account's, else of the app's, on."""
    _turn_lab(session, app, feature, True, as_json)


@click.command(cls=PaasCommand, name="labs:disable", section=LABS_SECTION, example="paas labs:disable FEATURE")
@click.argument("feature")
@json_option
@maybe_app_options
def lab_disable(session: Session, app: str | None, feature: str, as_json: bool) -> None:
    """Turn a feature of your account's, else of the app's, off."""
    _turn_lab(session, app, feature, False, as_json)


def _where(session: Session, app: str | None, feature: str) -> str:
    """The path of the account's feature of this name, else the app's. Raises ApiError when there is no account's, and
    no app is named."""
    own = path("account", "features", feature)
    try:
        session.api.get(own)
    except ApiError as error:
        if error.status != 404 or app is None:
            raise
        return path("apps", app, "features", feature)
    return own


def _turn_lab(session: Session, app: str | None, feature: str, on: bool, as_json: bool) -> None:
    where = _where(session, app, feature)
    if app is not None and where.startswith("/apps/"):
        target = Styled(app, output.APP)
    else:
        target = Styled(session.api.get("/account")["email"], output.NAME)
    _turn(session, where, feature, target, on, as_json)


def _turn(session: Session, where: str, feature: str, target: Styled, on: bool, as_json: bool) -> None:
    with output.action(f"{'Enabling' if on else 'Disabling'} {feature} for ", target):
        if session.api.get(where)["enabled"] is on:
            raise CliError(f"{feature} is already {'enabled' if on else 'disabled'}: there is nothing to do.")
        changed = session.api.patch(where, {"enabled": on})
    if as_json:
        output.print_json(changed)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    output.header(found["name"])
    shown = (("Description", found["description"]), ("Docs", found["doc_url"]))
    output.fields([*shown, ("Enabled", str(found["enabled"]).lower())])


def _list(found: list[dict[str, Any]]) -> None:
    width = max((len(_name(one)) for one in found), default=0)
    for one in sorted(found, key=_name):
        output.write(f"{'[+]' if one['enabled'] else '[ ]'} {_name(one).ljust(width)}  {one['description']}")


def _name(feature: dict[str, Any]) -> str:
    return str(feature["name"])


COMMANDS = (*(features, feature_info, feature_enable, feature_disable), *(labs, lab_info, lab_enable, lab_disable))
