"""How patiently an app asks its dynos to be checked, and what it can't mean by it."""

import json

import pytest

from paasd.domain.app_json import parse_app_json
from paasd.domain.errors import BuildFailed
from paasd.domain.health import Pace


def paces(**checks: object) -> dict[str, Pace]:
    return dict(parse_app_json(json.dumps({"healthchecks": checks})).health_paces)


def test_the_pace_is_that_of_the_check_that_counts() -> None:
    """Bites: numbers of a liveness check that asks for nothing, taken for those of the one that does."""
    given = {"path": "/ok", "timeout": 5, "attempts": 3, "wait": 2, "initialDelay": 7}
    assert paces(web=[{"type": "liveness", "attempts": 9}, given]) == {"web": Pace(5, 3, 2, 7)}
    assert paces(web={"listening": True, "attempts": 2}) == {"web": Pace(attempts=2)}
    assert paces(worker=[{"type": "startup", "uptime": 3}]) == {"worker": Pace(uptime=3)}
    assert paces(web=[{"path": "/ok"}], other="no") == {}


def test_what_it_allows() -> None:
    assert Pace().allows(60) == 60
    assert (Pace(initial_delay=5).allows(60), Pace(uptime=30).allows(60)) == (65, 90)
    assert (Pace(wait=3).between, Pace(attempts=3).between, Pace(attempts=3, wait=0).between) == (3, 5, 0)
    assert Pace(attempts=3, wait=2, timeout=4).allows(60) == 3 * 6 + 60


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"attempts": 0}, "attempts of the health check of 'web' must be a whole number from 1 to 100"),
        ({"timeout": "5"}, "timeout .* from 1 to 60"),
        ({"timeout": True}, "timeout .* from 1 to 60"),
        ({"wait": 1.5}, "wait .* from 0 to 60"),
        ({"initialDelay": 301}, "initialDelay .* from 0 to 300"),
        ({"attempts": 100, "wait": 10}, "would be waited for 1200 seconds, and 600 are the most"),
    ],
)
def test_a_pace_that_can_not_be_meant(check: dict[str, object], words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        paces(web=[{"path": "/", **check}])


def test_what_of_a_check_does_nothing_is_named() -> None:
    """Bites: a pace of the second check, an uptime of web, a timeout of a worker: believed, and not heeded."""
    text = {
        "web": [{"path": "/", "wait": 1, "port": 80, "uptime": 3}, {"command": ["x"], "attempts": 2}],
        "worker": [{"uptime": 1, "timeout": 5}],
        "clock": [{"type": "startup", "uptime": 9}],
    }
    (words,) = parse_app_json(json.dumps({"healthchecks": text})).unheeded
    assert words == (
        "of the health checks, not used here: 'attempts, command, port, uptime' of 'web'; 'timeout' of 'worker'"
    )
