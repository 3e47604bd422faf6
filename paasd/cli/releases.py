"""`releases`, `releases:info`, `releases:output` and `rollback`."""

from __future__ import annotations

import codecs
import sys

import click

from paasd.cli import output, release_info, rollback_diff, rollout
from paasd.cli.client import Refused, path
from paasd.cli.errors import CliError, print_warning
from paasd.cli.output import Cell, Styled
from paasd.cli.release_info import STATUS_STYLES, status_words
from paasd.cli.rollout import Release
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Releases"


@click.command(cls=PaasCommand, name="releases", section=SECTION, example="paas releases -n 5")
@click.option("-n", "--num", type=click.IntRange(1, 1000), default=15, help="How many to show (15).")
@json_option
@app_options
def list_releases(session: Session, app: str, num: int, as_json: bool) -> None:
    """List the app's releases, newest on top."""
    found: list[Release] = session.api.get(path("apps", app, "releases"), range_=f"version ..; max={num}, order=desc")
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.write([output.app_name(app), " has no releases."])
        return
    current = next((release["version"] for release in found if release["current"]), None)
    marked: list[str | Styled] = [" - ", Styled(f"Current: v{current}", output.GOOD)] if current is not None else []
    output.header(output.app_name(app), " Releases", *marked)
    rows = [_row(release) for release in sorted(found, key=lambda release: -int(release["version"]))]
    output.table(("V", "Description", "User", "Created at"), rows, flexible=1)


@click.command(cls=PaasCommand, name="releases:info", section=SECTION, example="paas releases:info v4")
@click.argument("release", required=False)
@json_option
@app_options
def info(session: Session, app: str, release: str | None, as_json: bool) -> None:
    """Show a release: who, when, commit, image, stages, and what changed."""
    api = session.api
    version = str(rollout.latest(api, app)["version"]) if release is None else release.lower().removeprefix("v")
    found: Release = api.get(path("apps", app, "releases", version) + "?extended=true")
    if as_json:
        output.print_json(found)
        return
    config: dict[str, str] = api.get(path("apps", app, "releases", str(found["version"]), "config-vars"))
    release_info.show(found, config)


@click.command(cls=PaasCommand, name="releases:output", section=SECTION, example="paas releases:output v4")
@click.argument("release", required=False)
@json_option
@app_options
def show_output(session: Session, app: str, release: str | None, as_json: bool) -> None:
    """Print what the release command printed; live while it runs."""
    api = session.api
    found = rollout.find(api, app, release)
    number, url = found["version"], found.get("output_stream_url")
    decoder, text = codecs.getincrementaldecoder("utf-8")("replace"), list[str]()
    if url:
        try:
            write = (lambda chunk: text.append(decoder.decode(chunk))) if as_json else rollout.to_stdout()
            rollout.copy_output(api, url, write, still_wanted=lambda: False)
        except Refused as refusal:
            if refusal.status != 404:
                raise
            print_warning("Release command not started yet. Please try again in a few seconds.")
    elif not as_json:
        print_warning(f"Release v{number} has no release output available.")
    if as_json:
        output.print_json({"version": number, "status": found["status"], "output": "".join(text) if url else None})


@click.command(
    cls=PaasCommand,
    name="rollback",
    section=SECTION,
    example="paas rollback v2",
    aliases=("releases:rollback",),
)
@click.argument("release", required=False)
@click.option("--skip-release-phase", is_flag=True, help="Don't run the release command.")
@click.option("--code-only", is_flag=True, help="Take its code, keep the config vars of now.")
@click.option("--config-only", is_flag=True, help="Take its config vars, keep the code of now.")
@click.option("--diff", is_flag=True, help="Show what it would change, and do nothing.")
@json_option
@app_options
def rollback(
    session: Session,
    app: str,
    release: str | None,
    skip_release_phase: bool,
    code_only: bool,
    config_only: bool,
    diff: bool,
    as_json: bool,
) -> None:
    """Go back to a release's code and config, as a new release."""
    if code_only and config_only:
        raise click.UsageError("--code-only and --config-only together are the whole release: leave both out.")
    api, only = session.api, "code" if code_only else "config" if config_only else None
    target = rollout.find(api, app, release) if release else _previous(session, app)
    if diff:
        rollback_diff.show(api, app, target, only, as_json)
        return
    goal = f"v{target['version']}"
    body = {
        "release": target["id"],
        **({"skip_release_phase": True} if skip_release_phase else {}),
        **({"only": only} if only else {}),
    }
    part: list[str | Styled] = [f"the {only} of "] if only else []
    with output.action("Rolling back ", Styled(app, output.APP), " to ", *part, Styled(goal, output.GOOD)) as step:
        made: Release = api.post(path("apps", app, "releases"), body)
        ended = rollout.follow(api, app, made, step, quiet=as_json)
    if as_json:
        output.print_json(ended)
        return
    if only is None:
        print_warning("Rollback affects code and config vars; it doesn't add or remove addons.")
    if sys.stderr.isatty() and made["version"] > 1:
        click.echo(f"To undo, run: paas rollback v{made['version'] - 1} -a {app}", err=True)


@click.command(cls=PaasCommand, name="releases:retry", section=SECTION, example="paas releases:retry")
@json_option
@app_options
def retry(session: Session, app: str, as_json: bool) -> None:
    """Make the newest release once more, with its release command; waits until it is served."""
    api = session.api
    newest = rollout.latest(api, app)
    if not newest.get("slug"):
        raise CliError(f"v{newest['version']} of {app} has no code to run again: push some first.")
    body = {"slug": newest["slug"]["id"], "description": f"Retry of v{newest['version']}: {newest['description']}"}
    with output.action(f"Retrying v{newest['version']} on ", Styled(app, output.APP)) as step:
        made: Release = api.post(path("apps", app, "releases"), body)
        ended = rollout.follow(api, app, made, step, quiet=as_json)
    if as_json:
        output.print_json(ended)


def _previous(session: Session, app: str) -> Release:
    recent: list[Release] = session.api.get(path("apps", app, "releases"), range_="version ..; max=50, order=desc")
    eligible = [release for release in recent if release["eligible_for_rollback"]]
    if len(eligible) < 2:
        raise CliError(f"{app} has no earlier release to go back to: `paas releases -a {app}` lists them all.")
    return eligible[1]


def _row(release: Release) -> list[Cell]:
    status = str(release["status"])
    words, style = status_words(release), STATUS_STYLES.get(status, output.NAME)
    change: list[str | Styled] = [release["description"]]
    if words:
        change += [" ", Styled(words, style)]
    return [
        Styled(f"v{release['version']}", output.GOOD if release["current"] else style),
        change,
        release["user"]["email"],
        Styled(output.ago(release["created_at"]), output.DIM),
    ]


COMMANDS = (list_releases, info, show_output, rollback, retry)
