"""Values of access: equal by what they hold, and not to be changed."""

from dataclasses import FrozenInstanceError, replace

import pytest

from paasd.domain.access import Account, Actor, Token
from tests.contracts.ledger import NOW


@pytest.mark.parametrize(
    "value",
    [
        Account("a", "ann@example.org", None, NOW),
        Token("t", "a", "cli", "0" * 64, NOW),
        Actor("a", "ann@example.org", "cli", "127.0.0.1"),
    ],
)
def test_values_are_frozen_and_compare_by_content(value: Account | Token | Actor) -> None:
    assert replace(value) == value
    with pytest.raises(FrozenInstanceError):
        setattr(value, next(iter(value.__slots__)), "other")


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("laptop", "ann@example.org (laptop)"),
        ("", "ann@example.org"),
        ("ci\n2026-11-23T06:00:00+00:00 app[web.1]: \x1b[31mforged", None),
        ("x" * 300, f"ann@example.org ({'x' * 64})"),
    ],
)
def test_an_actor_in_a_line_of_the_log(token: str, shown: str | None) -> None:
    """Bites: the token's name as it was given makes a line of its own."""
    said = Actor("a", "ann@example.org", token, "127.0.0.1").shown
    assert said.isprintable()
    assert shown in (None, said)
