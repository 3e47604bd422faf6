"""What `releases:info` shows: Heroku's fields, then what they lack. A change of config is told by name only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from paasd.cli import output
from paasd.cli.output import Cell, Styled

STATUS_WORDS = {
    "pending": "release command executing",
    "failed": "release command failed",
    "expired": "release expired",
}
WITHOUT_COMMAND = {"pending": "under way", "failed": "failed"}
STATUS_STYLES = {"pending": output.BUSY, "failed": output.BAD, "expired": output.DIM}


def show(release: dict[str, Any], config: dict[str, str]) -> None:
    """`release` as the API gives it with extended=true; `config` its config vars."""
    version = f"v{release['version']}"
    extended: dict[str, Any] = release.get("extended") or {}
    output.header("Release ", Styled(version, output.NAME))
    output.fields([*_as_heroku(release), *_beyond(extended)])
    _show_stages(extended.get("stages") or [])
    _show_diff(extended.get("diff") or {})
    click.echo()
    output.header(Styled(version, output.NAME), " Config vars")
    output.fields(output.pairs_of(config))


def status_words(release: dict[str, Any]) -> str | None:
    """Heroku's, where there is a release command; None of a release that serves or has served."""
    status = str(release["status"])
    words = STATUS_WORDS if release.get("output_stream_url") else {**STATUS_WORDS, **WITHOUT_COMMAND}
    return words.get(status)


def _as_heroku(release: dict[str, Any]) -> list[tuple[str, Cell | None]]:
    status = str(release["status"])
    words = status_words(release)
    change: list[str | Styled] = [release["description"]]
    if words:
        change += [" (", Styled(words, STATUS_STYLES[status]), ")"]
    return [
        ("Add-ons", ", ".join(release["addon_plan_names"]) or None),
        ("By", release["user"]["email"]),
        ("Change", change),
        ("Eligible for Rollback?", "Yes" if release["eligible_for_rollback"] else "No"),
        ("When", release["created_at"]),
    ]


def _beyond(extended: dict[str, Any]) -> list[tuple[str, Cell | None]]:
    commit = extended.get("commit") or {}
    user = extended.get("user") or {}
    formation = extended.get("formation") or {}
    failure = extended.get("failure")
    rows: list[tuple[str, Cell | None]] = [
        ("Failure", Styled(failure, output.BAD) if failure else None),
        ("Token", user.get("token")),
        ("From", user.get("address")),
        ("Commit", commit.get("sha")),
        ("Author", commit.get("author")),
        ("Subject", commit.get("subject")),
        ("Image", extended.get("image")),
        ("Formation", ", ".join(f"{kind}={count}" for kind, count in sorted(formation.items())) or None),
    ]
    for one in extended.get("addons") or []:
        rows.append((f"Add-on {one['attachment']}", f"{one['addon']} ({one['plan']})"))
    for kind, command in sorted((extended.get("process_types") or {}).items()):
        rows.append((f"Process {kind}", command or "(the image's own command)"))
    return rows


def _show_stages(stages: list[dict[str, Any]]) -> None:
    if not stages:
        return
    click.echo()
    output.header("Stages")
    rows: list[list[Cell]] = [
        [
            stage["stage"].replace("_", " "),
            Styled(_duration(stage.get("seconds")), output.GOOD),
            Styled(_time_of_day(stage.get("at")), output.DIM),
            stage.get("detail") or "",
        ]
        for stage in stages
    ]
    output.table(("Stage", "Took", "At", "Detail"), rows, flexible=3)


def _show_diff(diff: dict[str, Any]) -> None:
    if diff.get("against") is None:
        return
    click.echo()
    output.header("Changed since ", Styled(f"v{diff['against']}", output.NAME))
    rows: list[tuple[str, Cell | None]] = [
        ("Config", _changes(diff.get("config") or {})),
        ("Processes", _changes(diff.get("process_types") or {})),
        ("Image", "changed" if diff.get("image_changed") else None),
        ("Commit", "changed" if diff.get("commit_changed") else None),
    ]
    if all(value is None for _, value in rows):
        click.echo("nothing")
    output.fields(rows)


def _changes(change: dict[str, list[str]]) -> Cell | None:
    """`added GREETING; removed OLD; changed DEBUG`, or None."""
    words = (("added", output.GOOD), ("removed", output.BAD), ("changed", output.BUSY))
    pieces: list[str | Styled] = []
    for word, style in words:
        if change.get(word):
            pieces += ["; "] if pieces else []
            pieces += [Styled(word, style), " ", ", ".join(sorted(change[word]))]
    return pieces or None


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "…"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _time_of_day(when: str | None) -> str:
    return datetime.fromisoformat(when).astimezone().strftime("%H:%M:%S") if when else ""
