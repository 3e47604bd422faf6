"""`regions`, `apps:stacks`, `buildpacks` and its kin: what the platform is."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Apps"


@click.command(cls=PaasCommand, name="regions", section="Machine", example="paas regions")
@json_option
@click.pass_obj
def regions(session: Session, as_json: bool) -> None:
    """List the regions there are: this machine."""
    found = session.api.get_all("/regions")
    if as_json:
        output.print_json(found)
        return
    output.table(("ID", "Location", "Runtime"), [(one["name"], one["description"], "Common Runtime") for one in found],
                 flexible=1)  # fmt: skip


@click.command(cls=PaasCommand, name="apps:stacks", section=SECTION, example="paas apps:stacks", aliases=("stack",))
@json_option
@app_options
def stacks(session: Session, app: str, as_json: bool) -> None:
    """List the stacks there are, * before the app's."""
    found, own = session.api.get_all("/stacks"), session.api.get(path("apps", app))["stack"]["name"]
    if as_json:
        output.print_json(found)
        return
    output.header(output.app_name(app), " Available Stacks")
    for one in found:
        output.write(f"{'*' if one['name'] == own else ' '} {one['name']}")


@click.command(
    cls=PaasCommand,
    name="apps:stacks:set",
    section=SECTION,
    example="paas apps:stacks:set paasd-bookworm",
    aliases=("stack:set",),
)
@click.argument("stack")
@json_option
@app_options
def set_stack(session: Session, app: str, stack: str, as_json: bool) -> None:
    """Choose what the app's next build stands on."""
    with output.action("Setting stack to ", Styled(stack, output.GOOD)):
        changed = session.api.patch(path("apps", app), {"build_stack": stack})
    if as_json:
        output.print_json(changed)
    else:
        click.echo(f"You will need to redeploy {app} for the change to take effect.", err=True)


@click.command(cls=PaasCommand, name="buildpacks", section=SECTION, example="paas buildpacks")
@json_option
@app_options
def buildpacks(session: Session, app: str, as_json: bool) -> None:
    """List the buildpacks that the app names."""
    found = session.api.get(path("apps", app, "buildpack-installations"))
    if as_json:
        output.print_json(found)
    elif not found:
        output.write([output.app_name(app), " has no Buildpacks."])
    else:
        output.header(output.app_name(app), " Buildpack" + ("s" if len(found) > 1 else ""))
        _numbered(found)


@click.command(cls=PaasCommand, name="buildpacks:add", section=SECTION, example="paas buildpacks:add heroku/python")
@click.argument("buildpack")
@click.option("-i", "--index", type=click.IntRange(min=1), help="Where in the list, from 1; else at its end.")
@json_option
@app_options
def buildpack_add(session: Session, app: str, buildpack: str, index: int | None, as_json: bool) -> None:
    """Name one more buildpack: heroku/python, a git URL, or a ./folder of the repository."""
    names = _names(session, app)
    if buildpack in names:
        raise CliError(f"The buildpack {buildpack} is in the list already: see `paas buildpacks`.")
    names.insert(len(names) if index is None else index - 1, buildpack)
    _put(session, app, names, "added", as_json)


@click.command(cls=PaasCommand, name="buildpacks:set", section=SECTION, example="paas buildpacks:set heroku/python")
@click.argument("buildpack")
@click.option("-i", "--index", type=click.IntRange(min=1), default=1, help="Which of the list is replaced, from 1.")
@json_option
@app_options
def buildpack_set(session: Session, app: str, buildpack: str, index: int, as_json: bool) -> None:
    """Put a buildpack in another's place. The next build goes by them, unless there is a Dockerfile."""
    names = _names(session, app)
    if buildpack in names:
        raise CliError(f"The buildpack {buildpack} is in the list already: see `paas buildpacks`.")
    names[index - 1 : index] = [buildpack]
    _put(session, app, names, "set", as_json)


@click.command(
    cls=PaasCommand, name="buildpacks:remove", section=SECTION, example="paas buildpacks:remove heroku/python"
)
@click.argument("buildpack")
@json_option
@app_options
def buildpack_remove(session: Session, app: str, buildpack: str, as_json: bool) -> None:
    """Name a buildpack no more."""
    names = _names(session, app)
    if buildpack not in names:
        raise CliError(f"The buildpack {buildpack} is not in the list: see `paas buildpacks`.")
    names.remove(buildpack)
    _put(session, app, names, "removed", as_json)


@click.command(cls=PaasCommand, name="buildpacks:clear", section=SECTION, example="paas buildpacks:clear")
@json_option
@app_options
def buildpack_clear(session: Session, app: str, as_json: bool) -> None:
    """Name no buildpacks."""
    _put(session, app, [], "cleared", as_json)


def _names(session: Session, app: str) -> list[str]:
    return [str(one["buildpack"]["url"]) for one in session.api.get(path("apps", app, "buildpack-installations"))]


def _put(session: Session, app: str, names: list[str], done: str, as_json: bool) -> None:
    found = session.api.put(
        path("apps", app, "buildpack-installations"), {"updates": [{"buildpack": name} for name in names]}
    )
    if as_json:
        output.print_json(found)
        return
    click.echo(f"Buildpack{'s' if done == 'cleared' else ''} {done}.")
    _numbered(found)


def _numbered(found: list[dict[str, Any]]) -> None:
    for number, one in enumerate(found, 1):
        output.write(f"{number}. {one['buildpack']['url']}")


COMMANDS = (
    *(stacks, set_stack),
    *(buildpacks, buildpack_add, buildpack_set, buildpack_remove, buildpack_clear, regions),
)
