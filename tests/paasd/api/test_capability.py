"""Capability signatures."""

from hypothesis import given
from hypothesis import strategies as st

from paasd.api.capability import HOUR, mint, opens

SECRET = b"s" * 32


@given(st.floats(min_value=0, max_value=2e9), st.floats(min_value=0, max_value=2 * HOUR))
def test_valid_for_two_hours_at_least(minted: float, age: float) -> None:
    assert opens(SECRET, "/streams/a", mint(SECRET, "/streams/a", minted), minted + age)


@given(st.floats(min_value=0, max_value=2e9), st.floats(min_value=3 * HOUR, max_value=9 * HOUR))
def test_and_for_three_at_most(minted: float, age: float) -> None:
    assert not opens(SECRET, "/streams/a", mint(SECRET, "/streams/a", minted), minted + age)


def test_opens_nothing_else() -> None:
    signature = mint(SECRET, "/streams/a", 0)
    assert not opens(SECRET, "/streams/b", signature, 0)
    assert not opens(b"t" * 32, "/streams/a", signature, 0)
    assert not opens(SECRET, "/streams/a", mint(SECRET, "/streams/a", 5 * HOUR), 0)
    for wrong in ("", signature[:-1], signature.upper(), "é" * 64, "\ud800"):
        assert not opens(SECRET, "/streams/a", wrong, 0)
