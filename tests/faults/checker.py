"""Reads a recorded history and what is there at the end, and says in sentences what can't be. Silence is a pass.

What is checked: versions are unique, without a gap, and never go back; every acknowledged write is there unless its
release failed; the current release is the one that is served; and the end is what some order of the calls gives, one
after the other, that keeps to the times seen from outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.history import Call, History

ORDER = {"pending": 0, "succeeded": 1, "failed": 1, "expired": 2}


@dataclass(frozen=True)
class End:
    """One app when all is quiet. `releases` as the API lists them; `served` is the version that answers, None: none."""

    releases: Sequence[Mapping[str, Any]]
    config: Mapping[str, str]
    maintenance: bool
    served: int | None = None
    formation: Mapping[str, int] = field(default_factory=dict)


def check(history: History, ends: Mapping[str, End]) -> list[str]:
    """What is wrong, each a sentence that begins with the app. `ends` has the apps that are there at the end."""
    names = {call.app for call in history.calls if call.app is not None} | ends.keys()
    found = []
    for name in sorted(names):
        calls = list(history.of(name))
        end = ends.get(name)
        wrong = list(existence(calls, end))
        if end is not None:
            wrong += [*ledger(end), *observed(calls, end), *acknowledged(calls, end), *served(end), *serial(calls, end)]
        found += [f"{name}: {sentence}" for sentence in wrong]
    return found


def existence(calls: Sequence[Call], end: End | None) -> Iterator[str]:
    """An app that was made is there, unless a destruction may have come after; one that was destroyed is not."""
    made = [call for call in calls if call.method == "POST" and call.path == "/apps"]
    gone = [call for call in calls if call.method == "DELETE" and call.path == f"/apps/{call.app}"]
    for call in made:
        if call.acknowledged and end is None and not any(not d.refused and d.ended > call.began for d in gone):
            yield "its creation was acknowledged, and it is not there."
    for call in gone:
        if call.acknowledged and end is not None and not any(not m.refused and m.ended > call.began for m in made):
            yield "its destruction was acknowledged, and it is still there."


def ledger(end: End) -> Iterator[str]:
    """Versions from 1 on, each once, none left out; none pending when all is quiet."""
    versions = [release["version"] for release in end.releases]
    if len(set(versions)) != len(versions):
        yield f"a version stands twice in {sorted(versions)}."
    if sorted(set(versions)) != list(range(1, len(set(versions)) + 1)):
        yield f"there is a gap in {sorted(versions)}."
    for release in end.releases:
        if release["status"] == "pending":
            yield f"v{release['version']} is pending for ever."


def releases_in(answer: Any) -> Iterator[Mapping[str, Any]]:
    """The releases that an answer shows."""
    for entry in answer if isinstance(answer, list) else [answer]:
        if isinstance(entry, dict) and "version" in entry and "status" in entry:
            yield entry


def observed(calls: Sequence[Call], end: End) -> Iterator[str]:
    """Whoever saw a release sees the same one later: under its number, in no earlier state, and no number vanishes."""
    seen: dict[int, tuple[str, str, float]] = {}  # version -> id, status, when that was known
    final = [Call(float("inf"), float("inf"), "GET", "", None, 200, list(end.releases))]
    for call in sorted([call for call in calls if call.acknowledged], key=lambda call: call.ended) + final:
        shown = {release["version"]: release for release in releases_in(call.answer)}
        whole = call is final[0] or (call.method == "GET" and call.path.endswith("/releases"))
        for version, (identity, status, known) in list(seen.items()):
            if known > call.began:
                continue  # the call may have been answered from before
            if whole and version not in shown:
                yield f"v{version} was seen, and later it is not there."
            later = shown.get(version)
            if later is not None and later["id"] != identity:
                yield f"v{version} is another release than was seen before."
            if later is not None and ORDER[later["status"]] < ORDER[status]:
                yield f"v{version} went back from {status} to {later['status']}."
            if later is not None and {later["status"], status} == {"succeeded", "failed"}:
                yield f"v{version} was {status} and is {later['status']}."
        for version, release in shown.items():
            before = seen.get(version)
            if before is None or ORDER[release["status"]] >= ORDER[before[1]]:
                seen[version] = (release["id"], release["status"], call.ended)


def acknowledged(calls: Sequence[Call], end: End) -> Iterator[str]:
    """A release whose making was acknowledged is in the ledger, under the number that was told, and numbers grow."""
    versions = {release["version"]: release["id"] for release in end.releases}
    told = [
        (call, release)
        for call in calls
        if call.acknowledged and call.method == "POST" and call.path.endswith("/releases")
        for release in releases_in(call.answer)
    ]
    for _, release in told:
        if versions.get(release["version"]) != release["id"]:
            yield f"v{release['version']} was acknowledged, and it is not there."
    for one, earlier in told:
        for other, later in told:
            if one.ended < other.began and earlier["version"] >= later["version"]:
                yield f"v{later['version']} was made after v{earlier['version']}, and its number is no higher."


def current(end: End) -> int | None:
    """The highest version that succeeded, if it has code to serve."""
    good = [release for release in end.releases if release["status"] == "succeeded"]
    newest = max(good, key=lambda release: release["version"], default=None)
    return newest["version"] if newest is not None and newest.get("slug") else None


def served(end: End) -> Iterator[str]:
    """The page of maintenance hides it; otherwise what answers is current."""
    shown = not end.maintenance and end.formation.get("web") != 0
    if shown and end.served != current(end):
        yield f"v{current(end)} is current, and v{end.served} is served."


@dataclass(frozen=True)
class Write:
    """A call that changes the app, and whether it must have been carried out, or only may have been."""

    call: Call
    must: bool

    def after(self, state: "State") -> "State | None":
        """What it makes of a state, None where it could not have been acknowledged then."""
        config, maintenance, formation = state
        body = self.call.body
        if self.call.path.endswith("/config-vars"):
            merged = {**dict(config), **body}
            return frozenset((k, v) for k, v in merged.items() if v is not None), maintenance, formation
        if self.call.path.endswith("/formation"):
            wanted = {entry["type"]: int(entry["quantity"]) for entry in body["updates"]}
            return config, maintenance, frozenset({**dict(formation), **wanted}.items())
        return config, bool(body["maintenance"]), formation


State = tuple[frozenset[tuple[str, str]], bool, frozenset[tuple[str, int]]]


def serial(calls: Sequence[Call], end: End) -> Iterator[str]:
    """Whether some order of the writes, one after the other, gives the end. One that failed its release may be in it
    or not: a release that fails changes nothing, but it is not told apart from another of the same words."""
    if any(call.method == "POST" and call.path.endswith("/releases") and not call.refused for call in calls):
        return  # a rollback brings back a config that only the ledger knows
    failures = any(release["status"] == "failed" for release in end.releases)
    writes = [
        Write(call, call.acknowledged and not (failures and call.path.endswith("/config-vars")))
        for call in calls
        if call.method == "PATCH" and not call.refused and is_write(call)
    ]
    kinds = {call.path.rpartition("/")[2] for call in (write.call for write in writes)}
    wanted: State = (
        frozenset(end.config.items()),
        end.maintenance,
        frozenset(end.formation.items()) if "formation" in kinds else frozenset(),
    )
    if not reachable(writes, wanted, loose_formation="formation" in kinds):
        done = [f"{write.call.method} {write.call.path} {write.call.body}" for write in writes]
        yield f"no order of {done} ends with {dict(wanted[0])}, maintenance {wanted[1]}, {dict(wanted[2])}."


def is_write(call: Call) -> bool:
    tail = call.path.rpartition("/")[2]
    return tail in ("config-vars", "formation") or (isinstance(call.body, dict) and "maintenance" in call.body)


def reachable(writes: Sequence[Write], wanted: State, *, loose_formation: bool) -> bool:
    """Search over the orders that keep to real time: a write goes next if none that is left ended before it began."""
    start: State = (frozenset(), False, frozenset())
    tried: set[tuple[frozenset[int], State]] = set()
    agenda = [(frozenset(range(len(writes))), start)]
    while agenda:
        left, state = agenda.pop()
        if not any(writes[at].must for at in left) and fits(state, wanted, loose_formation):
            return True
        if (left, state) in tried:
            continue
        tried.add((left, state))
        for at in left:
            write = writes[at]
            if any(writes[other].call.ended < write.call.began for other in left - {at}):
                continue
            after = write.after(state)
            if after is not None:
                agenda.append((left - {at}, after))
            if not write.must:
                agenda.append((left - {at}, state))
    return False


def fits(state: State, wanted: State, loose_formation: bool) -> bool:
    """Quantities that nobody asked for are what they are."""
    formation = dict(state[2]).items() <= dict(wanted[2]).items() if loose_formation else True
    return state[0] == wanted[0] and state[1] == wanted[1] and formation
