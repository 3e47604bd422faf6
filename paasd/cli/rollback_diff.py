"""`rollback --diff`: what going back to a release would change, config vars by name only."""

from __future__ import annotations

from typing import Any

import click

from paasd.cli import output
from paasd.cli.client import Api, path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.rollout import Release

CODE = ("commit", "image", "process_types")


def show(api: Api, app: str, target: Release, only: str | None, as_json: bool) -> None:
    """From what is served now to what a rollback to `target` would serve. Raises CliError when nothing is served."""
    served = next((release for release in _recent(api, app) if release["current"]), None)
    if served is None:
        raise CliError(f"{app} serves no release yet: push to it first.")
    found = _changes(api, app, served, target, only)
    if as_json:
        output.print_json(found)
        return
    versions = (Styled(f"v{served['version']}", output.NAME), " to ", Styled(f"v{target['version']}", output.NAME))
    output.header("From ", *versions, f", {only} only" if only else "")
    rows = [(_title(part), f"{old or 'none'} -> {new or 'none'}") for part, (old, new) in found["code"].items()]
    names = found["config"]
    told = [
        *(f"+{n}" for n in names["added"]),
        *(f"-{n}" for n in names["removed"]),
        *(f"~{n}" for n in names["changed"]),
    ]
    if told:
        rows.append(("Config", ", ".join(told)))
    if not rows:
        click.echo("nothing")
    output.fields(rows)


def _recent(api: Api, app: str) -> list[Release]:
    found: list[Release] = api.get(path("apps", app, "releases"), range_="version ..; max=1000, order=desc")
    return found


def _changes(api: Api, app: str, served: Release, target: Release, only: str | None) -> dict[str, Any]:
    code: dict[str, list[str | None]] = {}
    if only != "config":
        old, new = (_code_of(api, app, release) for release in (served, target))
        code = {part: [old[part], new[part]] for part in CODE if old[part] != new[part]}
    names: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    if only != "code":
        before: dict[str, str] = api.get(path("apps", app, "config-vars"))
        after: dict[str, str] = api.get(path("apps", app, "releases", str(target["version"]), "config-vars"))
        names = {
            "added": sorted(after.keys() - before.keys()),
            "removed": sorted(before.keys() - after.keys()),
            "changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
        }
    return {"from": served["version"], "to": target["version"], "code": code, "config": names}


def _code_of(api: Api, app: str, release: Release) -> dict[str, str | None]:
    where = path("apps", app, "releases", str(release["version"])) + "?extended=true"
    extended = api.get(where).get("extended") or {}
    commit = extended.get("commit") or {}
    processes = extended.get("process_types") or {}
    return {
        "commit": f"{commit['sha'][:8]} {commit.get('subject') or ''}".rstrip() if commit.get("sha") else None,
        "image": extended.get("image"),
        "process_types": ", ".join(f"{kind}: {command}" for kind, command in sorted(processes.items())) or None,
    }


def _title(part: str) -> str:
    return part.replace("_", " ").capitalize()
