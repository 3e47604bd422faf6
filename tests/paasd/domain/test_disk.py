"""Watermarks, what a build needs, and which images stay."""

import uuid
from datetime import UTC, datetime

import pytest

from paasd.domain.access import Actor
from paasd.domain.disk import DiskRules, Filesystem, Level, retained
from paasd.domain.release import ProcessTypes, Release, Status

RULES = DiskRules(build_bytes=100, build_inodes=10)
NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.mark.parametrize(("free", "level"), [(1000, "ok"), (210, "ok"), (200, "high"), (110, "high"), (100, "full")])
def test_the_watermarks(free: int, level: str) -> None:
    assert Filesystem("/d", 1000, free, 0, 0).level(RULES) is Level(level)


def test_a_build_is_refused_with_what_is_free_and_what_is_needed() -> None:
    """Bites: each of the three checks of `refusal` left out fails its line here."""
    assert Filesystem("/d", 1000, 500, 0, 0).refusal(RULES) is None
    space = Filesystem("/d", 10**9, 3_000_000, 0, 0).refusal(DiskRules())
    assert space is not None
    assert "3 MB are free at /d and 256 MB are needed" in space
    inodes = Filesystem("/d", 1000, 500, 100, 9).refusal(RULES)
    assert inodes is not None
    assert "9 are free at /d and 10 are needed" in inodes
    mark = Filesystem("/d", 10**10, 10**9, 0, 0).refusal(DiskRules())
    assert mark is not None
    assert "90 % full and builds stop at 90 %: 1000 MB are free at /d and more than 1000 MB are needed" in mark


def release(version: int, status: Status, artifact: str | None) -> Release:
    return Release(
        str(uuid.uuid4()), "app", version, status, "", Actor("", "", "", ""), {}, {}, ProcessTypes(), None, artifact,
        None, has_output=False, rollback_of=None, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def test_the_newest_that_succeeded_and_what_is_pending_keep_their_image() -> None:
    done, failed = Status.SUCCEEDED, Status.FAILED
    releases = [
        release(1, done, None), release(2, done, "a"), release(3, failed, "b"), release(4, done, "c"),
        release(5, failed, "d"), release(6, done, "e"), release(7, Status.PENDING, "a"),
    ]  # fmt: skip
    assert retained(releases, 2) == {"a", "c", "d", "e"}
    assert retained(releases[:6], 1) == {"e"}
    assert retained(releases[:6], 20) == {"a", "b", "c", "d", "e"}
    assert retained([release(1, Status.EXPIRED, "x")], 20) == frozenset()
