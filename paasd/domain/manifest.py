"""What a source says about itself: Procfile and app.json become process types. Pure: text in, values out."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from paasd.domain.app_json import AppJson
from paasd.domain.dyno import DEFAULT_SIZE, check_size
from paasd.domain.errors import BuildFailed, InvalidParams
from paasd.domain.release import ProcessTypes

LINE = re.compile(r"([A-Za-z0-9_-]{1,63})[ \t]*:[ \t]*(.*)")
TYPE = re.compile(r"[A-Za-z0-9_-]{1,63}")
RELEASE = "release"
WEB = "web"
TYPES_MAX = 100
ADVICE = "add a Procfile with a line such as `web: gunicorn app:app --bind 0.0.0.0:$PORT`, or a Dockerfile."


def check_type(kind: object, place: str) -> str:
    """A process type's name, which is a part of its dynos': of their host names, folders, and paths at the engine.
    Raises BuildFailed."""
    if TYPE.fullmatch(str(kind)) is None:
        raise BuildFailed(f"{place}: {str(kind)[:60]!a} can't be a process type; letters, digits, - and _ make one.")
    return str(kind)


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
        if len(commands) == TYPES_MAX:
            raise BuildFailed(f"Procfile line {number} is one too many; an app has {TYPES_MAX} process types at most.")
        commands[match[1]] = match[2]
    return commands


def read_manifest(
    procfile: str | None,
    app: AppJson,
    *,
    passed_over: Collection[str] = (),
    defaults: Mapping[str, str | None],
    fallback: Mapping[str, str | None],
    advice: str = ADVICE,
) -> ProcessTypes:
    """The process types of a source: the Procfile's but those `passed_over`, then `defaults`; without any, `fallback`.

    Raises BuildFailed when the Procfile can't be read, or when there is nothing to run: `advice` says what to add.
    """
    declared = parse_procfile(procfile) if procfile is not None else {}
    commands: dict[str, str | None] = {kind: one for kind, one in declared.items() if kind not in passed_over}
    release = commands.pop(RELEASE, None)
    commands |= {kind: command for kind, command in defaults.items() if kind not in commands}
    if not commands:
        commands = dict(fallback)
    if not commands:
        raise BuildFailed(f"No process types found: {advice}")
    return ProcessTypes(
        *(commands, release, app.health_paths, app.formation, app.postdeploy, app.health_contents, app.sizes),
        health_paces=app.health_paces,
    )


def default_formation(processes: ProcessTypes, wanted: Mapping[str, int]) -> dict[str, int]:
    """Quantity of each process type: what was asked for before, else app.json's, else one `web` and no others."""
    usual = {kind: processes.quantities.get(kind, 1 if kind == WEB else 0) for kind in processes.commands}
    return {kind: wanted.get(kind, quantity) for kind, quantity in usual.items()}


def with_known_sizes(processes: ProcessTypes, known: Collection[str]) -> tuple[ProcessTypes, tuple[str, ...]]:
    """Its sizes as they are called here, and a warning of those that there are not: they are other platforms' plans."""
    sizes, strange = {}, []
    for kind, asked in processes.sizes.items():
        try:
            sizes[kind] = check_size(asked, known)
        except InvalidParams:
            strange.append(f"{asked[:64]!a} of {kind[:63]!a}")
    words = (f"app.json: there is no size {', '.join(strange)} here, but {', '.join(known)}: {DEFAULT_SIZE} is taken.",)
    return replace(processes, sizes=sizes), words if strange else ()
