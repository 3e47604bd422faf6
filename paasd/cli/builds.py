"""`builds` and what is below it, `builds:cache:purge` too, in the words of Heroku's plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from paasd.cli import output, rollout
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Cell, Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Releases"
STYLES = {"succeeded": output.GOOD, "failed": output.BAD, "pending": output.BUSY}

LOOKED_AT = 10

Build = dict[str, Any]


@click.command(cls=PaasCommand, name="builds", section=SECTION, example="paas builds -n 5")
@click.option("-n", "--num", type=click.IntRange(1, 1000), default=15, help="How many to show (15).")
@json_option
@app_options
def list_builds(session: Session, app: str, num: int, as_json: bool) -> None:
    """List the app's builds, newest on top."""
    found = _newest(session, app, num)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.write([output.app_name(app), " has no builds."])
        return
    output.header(output.app_name(app), " Builds")
    output.table(("ID", "Status", "Commit", "User", "Created at"), [_row(build) for build in found], flexible=3)


@click.command(cls=PaasCommand, name="builds:info", section=SECTION, example="paas builds:info")
@click.argument("build", required=False)
@json_option
@app_options
def info(session: Session, app: str, build: str | None, as_json: bool) -> None:
    """Show a build, the newest one unless named: status, commit, who, and why it failed."""
    found = _find(session, app, build)
    if as_json:
        output.print_json(found)
        return
    status = str(found["status"])
    output.header("Build ", str(found["id"]))
    output.fields(
        [
            ("By", found["user"]["email"]),
            ("Commit", found["source_blob"]["version"]),
            ("Failure", found.get("failure")),
            ("Release", (found["release"] or {}).get("id")),
            ("Status", Styled(status, STYLES.get(status, ""))),
            ("When", found["created_at"]),
        ]
    )


@click.command(cls=PaasCommand, name="builds:output", section=SECTION, example="paas builds:output")
@click.argument("build", required=False)
@json_option
@app_options
def show_output(session: Session, app: str, build: str | None, as_json: bool) -> None:
    """Print a build's log, the newest one's unless named; live while it runs."""
    found = _find(session, app, build)
    kept = bytearray()
    write = kept.extend if as_json else rollout.to_stdout()
    rollout.copy_output(session.api, found["output_stream_url"], write, still_wanted=lambda: False)
    if as_json:
        output.print_json({"id": found["id"], "status": found["status"], "output": kept.decode(errors="replace")})


@click.command(cls=PaasCommand, name="builds:cancel", section=SECTION, example="paas builds:cancel")
@click.argument("build", required=False)
@json_option
@app_options
def cancel(session: Session, app: str, build: str | None, as_json: bool) -> None:
    """Stop the build that runs; the push that began it is rejected."""
    if build is None:
        running = _running(_newest(session, app, LOOKED_AT))
        if running is None:
            raise CliError(f"No build of {app} is running: `paas builds -a {app}` lists them.")
        build = str(running["id"])
    with output.action("Stopping build ", Styled(build, output.APP), " on ", Styled(app, output.APP)):
        stopped = session.api.delete(path("apps", app, "builds", build))
    if as_json:
        output.print_json(stopped)


@click.command(cls=PaasCommand, name="builds:cache:purge", section=SECTION, example="paas builds:cache:purge")
@json_option
@app_options
def purge_cache(session: Session, app: str, as_json: bool) -> None:
    """Remove what the app's builds keep for the next one, which then installs everything anew."""
    with output.action("Purging build cache of ", Styled(app, output.APP)) as done:
        found = session.api.delete(path("apps", app, "build-cache"))
        done.done(f"{found['bytes'] / 1e6:.0f} MB")
    if as_json:
        output.print_json(found)


def _newest(session: Session, app: str, count: int) -> list[Build]:
    found: list[Build] = session.api.get(path("apps", app, "builds"), range_=f"created_at ..; max={count}, order=desc")
    return found


def _find(session: Session, app: str, build: str | None) -> Build:
    if build is not None:
        found: Build = session.api.get(path("apps", app, "builds", build))
        return found
    newest = _newest(session, app, LOOKED_AT)
    if not newest:
        raise CliError(f"{app} has no builds: push something to it.")
    return _running(newest) or newest[0]


def _running(builds: Sequence[Build]) -> Build | None:
    """The newest that runs: one that was begun after it may have ended before, cancelled while it waited."""
    return next((found for found in builds if found["status"] == "pending"), None)


def _row(build: Build) -> list[Cell]:
    status = str(build["status"])
    return [
        str(build["id"]),
        Styled(status, STYLES.get(status, "")),
        str(build["source_blob"]["version"] or "")[:8],
        str(build["user"]["email"]),
        Styled(output.ago(build["created_at"]), output.DIM),
    ]


COMMANDS = (list_builds, info, show_output, cancel, purge_cache)
