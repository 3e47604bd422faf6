"""Stacks, and versions beside each other."""

import pytest

from paasd.domain.stack import BOOKWORM, Stack, Stacks, nearest, parse_version


def test_a_stack_is_recorded_with_its_making() -> None:
    assert Stack("trixie", "3.13", "20261126").label == "trixie-20261126"
    assert (BOOKWORM.label, BOOKWORM.image) == ("bookworm", "paasd/stack:bookworm")


def test_the_default_is_bookworm_else_the_first_else_named_all_the_same() -> None:
    trixie = Stack("trixie", "3.13")
    assert Stacks((trixie, BOOKWORM)).default == BOOKWORM
    assert Stacks((trixie,)).default == trixie
    assert Stacks(()).default == BOOKWORM


@pytest.mark.parametrize(("text", "version"), [("3.11", (3, 11)), ("v24.1.0-rc1", (24, 1, 0)), ("", ()), ("lts", ())])
def test_a_version_is_its_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("wanted", "found"), [((3, 12), "3.13"), ((3, 13), "3.13"), ((3, 9, 7), "3.11"), ((3, 20), "3.14"), ((), "3.11")]
)
def test_the_nearest_is_the_next_above_else_the_highest(wanted: tuple[int, ...], found: str) -> None:
    assert nearest(wanted, ["3.13", "3.11", "3.14"]) == found
    assert nearest(wanted, []) is None
