"""How the dynos of a process type are checked before they get requests, as app.json's `healthchecks` say it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from paasd.domain.errors import BuildFailed

PATH_AND_CONTENT = ("path", "content", "type", "name", "description")
DELAY_MAX = 600  # seconds, all of a type's checks together
WAIT = 5.0  # between failed checks that are counted, unless given
TIMEOUT = 2.0  # of one check, unless given
BOUNDS: Mapping[str, tuple[str, int, int]] = {  # key -> field, least, most
    "timeout": ("timeout", 1, 60),
    "attempts": ("attempts", 1, 100),
    "wait": ("wait", 0, 60),
    "initialDelay": ("initial_delay", 0, 300),
    "uptime": ("uptime", 0, 300),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How patiently, in seconds; None: as everywhere.

    A check may take `timeout`; the first comes after `initial_delay`, the next after a failed one in `wait`; so many
    `attempts` that fail, and the dyno is not healthy. A dyno that serves nothing has to run for `uptime`.
    """

    timeout: int | None = None
    attempts: int | None = None
    wait: int | None = None
    initial_delay: int | None = None
    uptime: int | None = None

    @property
    def between(self) -> float | None:
        """Seconds from a failed check to the next; None: as everywhere."""
        return WAIT if self.wait is None and self.attempts is not None else self.wait

    def allows(self, usual: float) -> float:
        """Seconds in which the dyno has to be up; `usual` is what every other has."""
        late = (self.initial_delay or 0) + (self.uptime or 0)
        if self.attempts is None:
            return late + usual
        return late + self.attempts * ((self.timeout or TIMEOUT) + (self.between or 0)) + usual

    def parts(self) -> dict[str, int]:
        """What is given, by name."""
        every = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in every.items() if value is not None}


def http_check(entries: object) -> Mapping[str, object] | None:
    """The one that asks for a page: it has a path, or a content, which is looked for in the page at /."""
    for entry in entries_of(entries):
        if isinstance(entry.get("path", entry.get("content")), str):
            return entry
    return None


def entries_of(entries: object) -> list[Mapping[str, object]]:
    """The checks of a process type, written as a list or as one."""
    return [one for one in (entries if isinstance(entries, list) else [entries]) if isinstance(one, dict)]


def pace_of(kind: str, entries: object) -> Pace:
    """By the check that counts. Raises BuildFailed for a number that is none, or out of its bounds."""
    check = check_of(entries)
    found = {}
    for key, (name, least, most) in BOUNDS.items():
        value = check.get(key)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise BuildFailed(
                f"app.json: {key} of the health check of {kind[:63]!a} must be a whole number from {least} to {most}."
            )
        found[name] = value
    pace = Pace(**found)
    if pace.allows(0) > DELAY_MAX:
        raise BuildFailed(
            f"app.json: the health check of {kind[:63]!a} would be waited for {pace.allows(0):g} seconds, and "
            f"{DELAY_MAX} are the most; make attempts, wait or timeout less."
        )
    return pace


def check_of(entries: object) -> Mapping[str, object]:
    """The one that counts: the one that asks for a page, else the first."""
    return http_check(entries) or next(iter(entries_of(entries)), {})


def unused(kind: str, entries: object, *, serves: bool) -> tuple[str, ...]:
    """The keys of a type's checks that do nothing here, by name."""
    check = check_of(entries)
    used = {*PATH_AND_CONTENT, *BOUNDS} - ({"uptime"} if serves else set(BOUNDS) - {"uptime"})
    beside = {
        key for one in entries_of(entries) for key in one if key not in used or (one is not check and key in BOUNDS)
    }
    return (f"{', '.join(sorted(beside))[:200]!a} of {kind[:63]!a}",) if beside else ()
