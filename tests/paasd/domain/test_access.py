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
