"""Waiting for a release to be served: its command's output as it comes, then how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import click

from paasd.cli import output
from paasd.cli.client import Api, Refused, path
from paasd.cli.errors import CliError, Unreachable
from paasd.cli.output import Step, Styled
from paasd.cli.text import TerminalFilter

Release = dict[str, Any]

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
AWAY_SECONDS = 30.0  # how long a daemon may be gone (a restart) before waiting for it ends
LATEST = "version ..; order=desc,max=1"


def latest(api: Api, app: str) -> Release:
    """The newest release. Raises CliError when there is none."""
    found: list[Release] = api.get(path("apps", app, "releases"), range_=LATEST)
    if not found:
        raise CliError(f"{app} has no releases yet: push to it first.")
    return found[0]


def find(api: Api, app: str, named: str | None) -> Release:
    """The release named `v4`, `4` or by its id; the newest without a name."""
    if named is None:
        return latest(api, app)
    found: Release = api.get(path("apps", app, "releases", named.lower().removeprefix("v")))
    return found


def follow(api: Api, app: str, release: Release, step: Step, *, quiet: bool = False) -> Release:
    """Show the release command's output and wait until the release has succeeded -> the release as it ended.

    `quiet`: its output is not shown, where nothing but JSON may go to stdout.
    Raises CliError with the reason when it failed.
    """
    version = f"v{release['version']}"
    if quiet and release.get("output_stream_url"):
        release = {**release, "output_stream_url": None}
    if release["status"] == "pending" and release.get("output_stream_url"):
        step.done(version)
        click.echo("Running release command...", err=True)
        copy_output(api, release["output_stream_url"], _stdout(), still_wanted=lambda: _is_pending(api, app, release))
        with output.action("Waiting for ", Styled(version, output.GOOD), " to be served"):
            ended = _wait(api, app, release)
    else:
        ended = _wait(api, app, release)
        step.done(f"done, {version}")
    return ended


def served(api: Api, app: str, release: Release) -> Release:
    """The release once it has succeeded. Raises CliError with the reason when it failed."""
    return _wait(api, app, release)


def copy_output(api: Api, url: str, out: Callable[[bytes], None], *, still_wanted: Callable[[], bool]) -> None:
    """Copy a stream from its first byte to its end. A broken connection is taken up again where it broke.

    404 means that the command has not started: asked again while `still_wanted`. Raises Refused or Unreachable.
    """
    seen, failures, pause = 0, 0, FIRST_PAUSE
    while True:
        before = seen
        try:
            with api.stream(url) as chunks:
                skip = seen
                for chunk in chunks:
                    fresh, skip = chunk[skip:], max(0, skip - len(chunk))
                    seen += len(fresh)
                    out(fresh)
            return
        except Refused as refusal:
            if refusal.status != 404 or not still_wanted():
                raise
        except Unreachable:
            failures = 1 if seen > before else failures + 1
            if failures > 5:
                raise
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


def to_stdout() -> Callable[[bytes], None]:
    """Where release output goes: byte for byte into a pipe, without what steers the terminal onto one."""
    return _stdout()


def _is_pending(api: Api, app: str, release: Release) -> bool:
    return bool(find(api, app, str(release["version"]))["status"] == "pending")


def _wait(api: Api, app: str, release: Release) -> Release:
    pause, away_since = FIRST_PAUSE, None
    while release["status"] == "pending":
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)
        try:
            release = find(api, app, str(release["version"]))
            away_since = None
        except Unreachable as error:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > AWAY_SECONDS:
                raise CliError(
                    f"The daemon went away while v{release['version']} was under way: "
                    f"start it again and look at `paas releases -a {app}`."
                ) from error
    if release["status"] == "failed":
        raise CliError(_failure(api, app, release))
    return release


def _failure(api: Api, app: str, release: Release) -> str:
    version = release["version"]
    details = api.get(path("apps", app, "releases", str(version)) + "?extended=true")
    reason = (details.get("extended") or {}).get("failure") or "release command failed"
    reason = reason.partition("; see `heroku releases:output")[0]  # it is named at the end
    recent: list[Release] = api.get(path("apps", app, "releases"), range_="version ..; max=50, order=desc")
    current = next((r["version"] for r in recent if r.get("current")), None)
    still = f"your app still runs v{current}" if current is not None else "nothing of your app was changed"
    where = f"paas releases:output v{version}" if release.get("output_stream_url") else "paas logs"
    return f"v{version} failed: {reason.rstrip('.')}; {still}. See `{where} -a {app}`."


def _stdout() -> Callable[[bytes], None]:
    stream: BinaryIO = sys.stdout.buffer
    clean = TerminalFilter() if output.on_terminal() else None

    def write(chunk: bytes) -> None:
        stream.write(clean.feed(chunk) if clean else chunk)
        stream.flush()

    sys.stdout.flush()
    return write
