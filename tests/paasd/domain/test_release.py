"""The state machine of releases, and what may be rolled back to."""

import itertools
from dataclasses import replace

import pytest

from paasd.domain.access import Actor
from paasd.domain.errors import InvalidParams
from paasd.domain.release import TRANSITIONS, Commit, ProcessTypes, Release, Status, check_rollback_target, current
from tests.contracts.ledger import NOW

ALLOWED = {
    (Status.PENDING, Status.SUCCEEDED),
    (Status.PENDING, Status.FAILED),
    (Status.SUCCEEDED, Status.EXPIRED),
    (Status.FAILED, Status.EXPIRED),
}
RELEASE = Release(
    "id", "app", 2, Status.SUCCEEDED, "Deploy", Actor("a", "ann@example.org", "cli", "127.0.0.1"),
    {"SECRET": "hunter2"}, {"web": 1}, ProcessTypes({"web": None}), "build", "sha256:1",
    Commit("9f3c21ab" * 5, "Ann", "Sell"), False, None, NOW, NOW,
)  # fmt: skip


@pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
def test_transitions_go_forward_only(old: Status, new: Status) -> None:
    assert (new in TRANSITIONS[old]) == ((old, new) in ALLOWED)


def test_current_is_the_highest_version_that_succeeded() -> None:
    releases = [
        replace(RELEASE, version=version, status=status)
        for version, status in enumerate(
            [Status.SUCCEEDED, Status.EXPIRED, Status.SUCCEEDED, Status.FAILED, Status.PENDING], start=1
        )
    ]
    found = current(reversed(releases))
    assert found is not None
    assert found.version == 3
    assert current(releases[3:]) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": Status.PENDING}, "v2: it is still being released; wait"),
        ({"status": Status.FAILED}, "v2: it failed; choose a release that succeeded"),
        ({"status": Status.EXPIRED}, r"has expired .*push its commit again \(git push heroku 9f3c21ab"),
        ({"status": Status.EXPIRED, "commit": None}, r"deploy its source again\.$"),
        ({"artifact": None}, "has no code to go back to"),
    ],
)
def test_what_can_not_be_rolled_back_to_says_why_and_what_to_do(changes: dict[str, object], words: str) -> None:
    target = replace(RELEASE, **changes)  # type: ignore[arg-type]
    assert not target.eligible_for_rollback
    with pytest.raises(InvalidParams, match=words) as caught:
        check_rollback_target(target)
    assert caught.value.resource == "release"


def test_a_served_release_can_be_rolled_back_to() -> None:
    assert check_rollback_target(RELEASE) is RELEASE


def test_config_values_never_show_in_a_repr() -> None:
    assert "hunter2" not in repr(RELEASE)
