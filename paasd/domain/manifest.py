"""What a source says about itself: Procfile and app.json become process types. Pure: text in, values out."""

import json
import re
from collections.abc import Mapping

from paasd.domain.errors import BuildFailed
from paasd.domain.release import ProcessTypes

LINE = re.compile(r"([A-Za-z0-9_-]{1,63})[ \t]*:[ \t]*(.*)")
RELEASE = "release"
WEB = "web"


def parse_procfile(text: str) -> dict[str, str]:
    """Process type -> command, in the order of the file. Raises BuildFailed naming the line that can't be read.

    Comments start a line with `#`; a comment at a line's end is left to the shell that will run the command.
    """
    commands: dict[str, str] = {}
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None or not match[2] or match[2].startswith("#") or "\0" in line:
            raise BuildFailed(
                f"Procfile line {number} can't be read: {line[:60]!r}; write `type: command`, "
                "such as `web: gunicorn app:app`."
            )
        if match[1] in commands:
            raise BuildFailed(f"Procfile line {number} names the process type {match[1]!r} a second time; keep one.")
        commands[match[1]] = match[2]
    return commands


def read_health_paths(text: str) -> dict[str, str]:
    """Process type -> HTTP path to probe, from app.json's `healthchecks`. Raises BuildFailed if it can't be read.

    The shape is `{"healthchecks": {"web": [{"type": "startup", "path": "/ok"}]}}`; the first entry with a path counts.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise BuildFailed(f"app.json is not valid JSON ({reason}); mend it or remove it.") from error
    checks = document.get("healthchecks", {}) if isinstance(document, dict) else None
    if not isinstance(checks, dict):
        raise BuildFailed('app.json can\'t be read: write an object, with "healthchecks" an object of process types.')
    paths: dict[str, str] = {}
    for process_type, entries in checks.items():
        path = _first_path(entries)
        if path is None:
            continue
        if not path.startswith("/") or any(ord(character) <= 32 or ord(character) == 127 for character in path):
            raise BuildFailed(
                f"app.json: the health check path of {process_type!r} must start with / and hold no spaces."
            )
        paths[process_type] = path
    return paths


def _first_path(entries: object) -> str | None:
    candidates = entries if isinstance(entries, list) else [entries]
    for entry in candidates:
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            return str(entry["path"])
    return None


def read_manifest(procfile: str | None, app_json: str | None, *, has_dockerfile: bool) -> ProcessTypes:
    """The process types of a source. Without a Procfile a Dockerfile's own command is the web process.

    Raises BuildFailed when a text can't be read, or when there is nothing to run.
    """
    commands: dict[str, str | None] = dict(parse_procfile(procfile)) if procfile is not None else {}
    release = commands.pop(RELEASE, None)
    if has_dockerfile:
        commands.setdefault(WEB, None)
    if not commands:
        raise BuildFailed(
            "No process types found: add a Procfile with a line such as `web: gunicorn app:app --bind 0.0.0.0:$PORT`, "
            "or a Dockerfile."
        )
    return ProcessTypes(commands, release, read_health_paths(app_json) if app_json is not None else {})


def default_formation(processes: ProcessTypes, wanted: Mapping[str, int]) -> dict[str, int]:
    """Quantity of each process type: what was asked for before, else one `web` and none of the others."""
    return {kind: wanted.get(kind, 1 if kind == WEB else 0) for kind in processes.commands}
