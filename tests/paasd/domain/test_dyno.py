"""Dynos in words: how one ended, its type, its log lines."""

import pytest

from paasd.domain.dyno import Dyno, DynoKind, DynoSpec, DynoState, Exit, LogLine
from tests.contracts.ledger import NOW


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Exit(0), "exited with status 0"),
        (Exit(3), "exited with status 3"),
        (Exit(143, signal=15), "was killed by signal 15"),
        (Exit(137, signal=9, oom=True), "was killed for using more memory than its limit (R15)"),
    ],
)
def test_how_a_dyno_ended(how: Exit, words: str) -> None:
    assert how.describe() == words


@pytest.mark.parametrize("state", list(DynoState))
def test_which_states_have_a_living_process(state: DynoState) -> None:
    dyno = Dyno("id", "web.1", DynoKind.FORMATION, "app", "release", 2, state, None, None, None, NOW)
    assert dyno.running == (state in {DynoState.STARTING, DynoState.UP})
    assert dyno.type == "web"


def test_a_spec_shows_no_environment() -> None:
    spec = DynoSpec(
        "id", "worker-2.13", DynoKind.FORMATION, "app", "shop", "release", 2, "sha256:1", None, {"SECRET": "hunter2"}
    )  # fmt: skip
    assert spec.type == "worker-2"
    assert "hunter2" not in repr(spec)


def test_a_line_looks_as_herokus_do() -> None:
    line = LogLine(NOW, "app", "web.1", "GET / 200")
    assert line.render() == "2026-11-23T06:00:00.123456+00:00 app[web.1]: GET / 200"
