"""`ps:scale`, `ps:type`, `ps:restart`, `ps:stop`: what is done to an app's dynos."""

from __future__ import annotations

import re
from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Running"
CHANGE = re.compile(r"([A-Za-z0-9_-]+)(=|(?=[+-]))([+-]?\d{1,5})(?::([A-Za-z0-9._-]+))?")


@click.command(
    cls=PaasCommand,
    name="ps:scale",
    section=SECTION,
    example="paas ps:scale web=2 worker+1",
    aliases=("scale", "dyno:scale"),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("changes", nargs=-1, metavar="[TYPE=N|TYPE+N|TYPE-N]...")
@json_option
@app_options
def scale(session: Session, app: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Set how many dynos there are of each type, or show it."""
    where = path("apps", app, "formation")
    if not changes:
        found: list[dict[str, Any]] = session.api.get(where)
    else:
        updates = [_change(text) for text in changes]
        with output.action("Scaling dynos of ", Styled(app, output.APP)) as step:
            found = session.api.patch(where, {"updates": updates})
            step.done("done, now running " + ", ".join(f"{entry['type']} at {entry['quantity']}" for entry in found))
    if as_json:
        output.print_json(found)
    elif not changes:
        for entry in sorted(found, key=lambda entry: str(entry["type"])):
            click.echo(f"{entry['type']}={entry['quantity']}:{entry['size']}")


@click.command(
    cls=PaasCommand,
    name="ps:type",
    section=SECTION,
    example="paas ps:type web=standard-2x",
    aliases=("ps:resize", "resize", "dyno:type", "dyno:resize"),
)
@click.argument("sizes", nargs=-1, metavar="[SIZE|TYPE=SIZE...]")
@json_option
@app_options
def resize(session: Session, app: str, sizes: tuple[str, ...], as_json: bool) -> None:
    """Give dynos another size, those of a type or all; or show their sizes. `sizes` in paasd.yaml says what each is."""
    where = path("apps", app, "formation")
    found: list[dict[str, Any]] = session.api.get(where)
    if sizes:
        updates = _sizes(sizes, [entry["type"] for entry in found])
        with output.action("Scaling dynos on ", Styled(app, output.APP)):
            session.api.patch(where, {"updates": updates})
        found = session.api.get(where)
    if as_json:
        output.print_json(found)
        return
    output.header("Process Types")
    rows = [(one["type"], one["size"], str(one["quantity"])) for one in sorted(found, key=lambda one: str(one["type"]))]
    output.table(("Type", "Size", "Qty"), rows, flexible=0)


@click.command(
    cls=PaasCommand,
    name="ps:restart",
    section=SECTION,
    example="paas ps:restart web.1",
    aliases=("restart", "dyno:restart"),
)
@click.argument("which", required=False, metavar="[DYNO|TYPE]")
@json_option
@app_options
def restart(session: Session, app: str, which: str | None, as_json: bool) -> None:
    """Restart all dynos, those of a type, or one; no request is lost."""
    if which is None:
        where, what = path("apps", app, "dynos"), "all dynos"
    elif "." in which:
        where, what = path("apps", app, "dynos", which), which
    else:
        where, what = path("apps", app, "formations", which), f"all {which} dynos"
    with output.action(f"Restarting {what} of ", Styled(app, output.APP)):
        session.api.delete(where)
    if as_json:
        output.print_json({"restarted": which or "all"})


@click.command(
    cls=PaasCommand,
    name="ps:stop",
    section=SECTION,
    example="paas ps:stop run.1234",
    aliases=("ps:kill", "stop", "kill", "dyno:stop", "dyno:kill"),
)
@click.argument("which", metavar="DYNO|TYPE")
@json_option
@app_options
def stop(session: Session, app: str, which: str, as_json: bool) -> None:
    """Stop a dyno, or all of a type. What the formation asks for is started again."""
    kind = "dynos" if "." in which else "formations"
    with output.action(f"Stopping {which} of ", Styled(app, output.APP)):
        session.api.post(path("apps", app, kind, which, "actions", "stop"))
    if as_json:
        output.print_json({"stopped": which})


def _change(text: str) -> dict[str, str]:
    found = CHANGE.fullmatch(text)
    if found is None:
        raise CliError(f"{text} is no change: write web=2, web+1 or web-1.")
    kind, _, quantity, size = found.groups()
    return {"type": kind, "quantity": quantity, **({"size": size} if size else {})}


def _sizes(given: tuple[str, ...], types: list[str]) -> list[dict[str, str]]:
    if len(given) == 1 and "=" not in given[0]:
        return [{"type": kind, "size": given[0]} for kind in types]
    pairs = [text.partition("=") for text in given]
    if bad := [text for text, (kind, _, size) in zip(given, pairs, strict=True) if not (kind and size)]:
        raise CliError(f"{bad[0]} names no size: write standard-2x for all types, or web=standard-2x.")
    return [{"type": kind, "size": size} for kind, _, size in pairs]


COMMANDS = (scale, resize, restart, stop)
