"""`config:edit`: config vars in an editor."""

from __future__ import annotations

import json

import click

from paasd.cli import config, output
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.session import PaasCommand, Session, app_options, json_option


@click.command(cls=PaasCommand, name="config:edit", section=config.SECTION, example="paas config:edit GREETING")
@click.argument("name", required=False, metavar="[KEY]")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before the change is made.")
@json_option
@app_options
def edit(session: Session, app: str, name: str | None, yes: bool, as_json: bool) -> None:
    """Change config vars in $EDITOR: all, or the value of one. The change is one release."""
    before: dict[str, str] = session.api.get(path("apps", app, "config-vars"))
    if name is not None:
        text = click.edit(before.get(name, ""), extension=".txt", require_save=True)
        after = before if text is None else {**before, name: text.removesuffix("\n")}
    else:
        text = click.edit(json.dumps(before, indent=2, ensure_ascii=False) + "\n", extension=".json", require_save=True)
        after = before if text is None else _read(text)
    changes = {key: after.get(key) for key in {**before, **after} if before.get(key) != after.get(key)}
    if not changes:
        if as_json:
            output.print_json(before)
        else:
            output.write("No changes to config vars.")
        return
    for key, value in sorted(changes.items()):
        sign = "-" if value is None else "+" if key not in before else "~"
        click.echo(f"{sign} {output.clean(key)}", err=True)  # names alone: values may be secrets
    if not yes and not click.confirm(f"Update config on {app} with these values?", err=True):
        raise CliError("Nothing was changed.")
    changed = config.change(session, app, "Updating", changes, as_json)
    if as_json:
        output.print_json(changed)


def _read(text: str) -> dict[str, str]:
    try:
        read = json.loads(text)
    except ValueError as error:
        raise CliError(f"That is not JSON ({error}): nothing was changed.") from None
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise CliError("Config vars are a JSON object of strings: nothing was changed.")
    return read


COMMANDS = (edit,)
