"""`apps:diff`: where two apps differ, in code and config."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output, rollout
from paasd.cli.client import Api, path
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, json_option

NONE = "[none]"


@click.command(cls=PaasCommand, name="apps:diff", section="Apps", example="paas apps:diff shop staging")
@click.argument("one", metavar="APP")
@click.argument("other", metavar="APP")
@json_option
@click.pass_obj
def diff(session: Session, one: str, other: str, as_json: bool) -> None:
    """Show where two apps differ: the commit they run, and each config var."""
    first, second = (_properties(session.api, app) for app in (one, other))
    found = {
        name: (first.get(name), second.get(name))
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    }
    if as_json:
        output.print_json([{"property": name, one: values[0], other: values[1]} for name, values in found.items()])
    elif not found:
        output.write([output.app_name(one), " and ", output.app_name(other), " have no differences."])
    else:
        rows = [
            (name, *(value if value is not None else Styled(NONE, output.DIM) for value in values))
            for name, values in found.items()
        ]
        output.table(("Property", one, other), rows, flexible=1)


def _properties(api: Api, app: str) -> dict[str, str]:
    config: dict[str, Any] = api.get(path("apps", app, "config-vars"))
    slug = rollout.latest(api, app).get("slug")
    commit = api.get(path("apps", app, "slugs", slug["id"])).get("commit") if slug else None
    return {
        "stack (name)": str(api.get(path("apps", app))["stack"]["name"]),
        **({"slug (commit)": str(commit)} if commit else {}),
        **{f"config ({name})": str(value) for name, value in config.items()},
    }


COMMANDS = (diff,)
