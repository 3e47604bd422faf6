"""What was promised, held against what every request and every call saw. Pure: times in, sentences out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bench.load import Sample

NEVER = float("inf")
RECOVERY_SECONDS = 60.0  # after this a one-dyno app that does not answer is no longer its killed dyno's fault
RACE_SECONDS = 0.25  # a client that writes on a kept connection has not yet read that its other end died
TWO_DYNOS_SHARE = 0.9999


class Victim(StrEnum):
    """What can be killed."""

    DAEMON = "daemon"
    PARENT = "router parent"
    WORKER = "router worker"
    DYNO = "dyno"
    TAKEOVER = "takeover"


@dataclass(frozen=True)
class Kill:
    """When (monotonic) SIGKILL was about to be sent, and for a dyno whose. `took`: the seconds from then until the
    process was seen to be dead. `back`: for a daemon, when the next one answered."""

    victim: Victim
    at: float
    app: str = ""
    back: float = NEVER
    took: float = 0.0

    @property
    def dead(self) -> float:
        """From when on nothing comes from what was killed; before it, an answer may still have been its."""
        return self.at + self.took


@dataclass
class Life:
    """An app while it is to serve. `pages` are spans of maintenance, when its page (H80) is right as well."""

    app: str
    dynos: int
    born: float
    gone: float = NEVER
    pages: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Judged:
    """One app's requests: answered well, set aside because they were in flight on what was killed, in the outage of
    its only dyno's kill, and failed."""

    app: str
    dynos: int
    well: int = 0
    aside: int = 0
    outage: int = 0
    failed: list[Sample] = field(default_factory=list)

    @property
    def counted(self) -> int:
        return self.well + len(self.failed)


def judge_app(life: Life, samples: Sequence[Sample], kills: Iterable[Kill]) -> Judged:
    """Each request of the app, by what was killed while it was on its way."""
    kills = list(kills)
    own = [kill for kill in kills if kill.victim is Victim.DYNO and kill.app == life.app]
    workers = [kill for kill in kills if kill.victim is Victim.WORKER]
    outages = [(kill.at, recovered(kill, samples)) for kill in own] if life.dynos == 1 else []
    judged = Judged(life.app, life.dynos)
    for sample in samples:
        if sample.done >= life.gone:
            continue  # its owner destroyed it meanwhile
        if not sample.failure or (is_page(sample) and within(sample, life.pages)):
            judged.well += 1
        elif in_flight(sample, own) or in_flight(sample, workers) or raced(sample, workers):
            judged.aside += 1
        elif within(sample, outages):
            judged.outage += 1
        else:
            judged.failed.append(sample)
    return judged


def is_page(sample: Sample) -> bool:
    """Whether it was told of maintenance, and of nothing else that is 503 as well."""
    return sample.failure.startswith("status 503 H80")


def recovered(kill: Kill, samples: Iterable[Sample]) -> float:
    """When the first request was answered well that was sent once the killed was dead, at the latest RECOVERY_SECONDS
    after that. One sent while it was dying may be its own last.

    Answered, not sent: one that came first may have waited in the router for the next dyno."""
    good = (sample.done for sample in samples if sample.sent > kill.dead and not sample.failure)
    return min(min(good, default=NEVER), kill.dead + RECOVERY_SECONDS)


def in_flight(sample: Sample, kills: Iterable[Kill]) -> bool:
    return any(sample.sent <= kill.dead and kill.at <= sample.done for kill in kills)


def raced(sample: Sample, kills: Iterable[Kill]) -> bool:
    return not sample.kind.new_connection and any(kill.at <= sample.sent <= kill.dead + RACE_SECONDS for kill in kills)


def within(sample: Sample, spans: Iterable[tuple[float, float]]) -> bool:
    return any(sample.sent <= end and begin <= sample.done for begin, end in spans)


def broken(judged: Sequence[Judged]) -> list[str]:
    """Promises about requests that were not kept."""
    found = []
    two = [one for one in judged if one.dynos >= 2]
    counted, failed = sum(one.counted for one in two), sum(len(one.failed) for one in two)
    if counted and (counted - failed) / counted < TWO_DYNOS_SHARE:
        found.append(f"{failed} of {counted} requests to apps with two dynos failed (99.99 % promised).")
    found += [
        f"{len(one.failed)} requests to {one.app} failed outside the kills of its only dyno."
        for one in judged
        if one.dynos == 1 and one.failed
    ]
    return found


def leaks(before: Mapping[str, float], after: Mapping[str, float], slack: Mapping[str, float]) -> list[str]:
    """What grew by more than its slack between two quiet moments of the same processes."""
    return [
        f"{name} grew from {before[name]:g} to {after[name]:g} (at most {slack[kind]:g} more)."
        for name in before
        for kind in (name.split()[-1],)
        if after[name] > before[name] + slack[kind]
    ]
