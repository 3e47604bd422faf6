"""Names, and what an environment can hold."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paasd.domain.app import (
    CONFIG_BYTES,
    check_app_name,
    check_config_var,
    describe_config_change,
    generate_app_name,
    merge_config,
)
from paasd.domain.errors import InvalidParams


@pytest.mark.parametrize("name", ["abc", "shop", "my-shop-2", "a" * 30])
def test_good_names(name: str) -> None:
    assert check_app_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 31, "a" * 64, "Shop", "1shop", "-shop", "shop-", "a..b", "..", "a/b", "a_b", "shöp", "shop\n"],
)
def test_bad_names_say_what_a_name_is(name: str) -> None:
    with pytest.raises(InvalidParams, match=r"must start with a letter.*choose another name") as caught:
        check_app_name(name)
    assert caught.value.resource == "app"


@given(st.integers())
def test_names_that_are_made_up_are_good_names(seed: int) -> None:
    check_app_name(generate_app_name(random.Random(seed)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("GREETING", "hello"), ("_a", ""), ("a.b-c", "ü\n\t"), ("A" * 256, "1"), ("A", None)],
)
def test_good_config_vars(name: str, value: str | None) -> None:
    check_config_var(name, value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("", "1", "name ''"),
        ("1A", "1", "start with a letter or underscore"),
        ("A B", None, "not usable"),
        ("A=B", "1", "not usable"),
        ("A\0", "1", "not usable"),
        ("A\n", "1", "not usable"),
        ("Ä", "1", "not usable"),
        ("A" * 257, "1", "256 at most"),
        ("A", "a\0b", "holds a NUL byte"),
        ("A", "\ud800", "not valid Unicode"),
    ],
)
def test_bad_config_vars_are_named_but_not_their_values(name: str, value: str | None, words: str) -> None:
    with pytest.raises(InvalidParams, match=words) as caught:
        check_config_var(name, value)
    assert value is None or len(value) == 1 or value not in caught.value.message


def test_config_is_limited_to_64_kb_in_bytes_of_names_and_values_together() -> None:
    fits = CONFIG_BYTES - len("A") - len("BB")
    assert len(merge_config({"A": "x"}, {"BB": "y" * (fits - 1)})) == 2
    with pytest.raises(InvalidParams, match=r"would take 65537 bytes of the 65536"):
        merge_config({"A": "x"}, {"BB": "y" * fits})
    with pytest.raises(InvalidParams):
        merge_config({}, {"A": "ü" * (CONFIG_BYTES // 2)})
    assert merge_config({"A": "y" * (CONFIG_BYTES - 1)}, {"A": None, "B": "1"}) == {"B": "1"}  # what goes makes room


@pytest.mark.parametrize(
    ("current", "changes", "description"),
    [
        ({}, {"A": "1"}, "Set A config vars"),
        ({}, {"A": "1", "B": "2"}, "Set A, B config vars"),
        ({"A": "1"}, {"A": None}, "Remove A config vars"),
        ({"A": "1", "B": "2"}, {"A": "3", "B": None}, "Set A and Remove B config vars"),
        ({"A": "1"}, {"A": "1"}, None),
        ({}, {"A": None}, None),
        ({}, {}, None),
        ({"A": ""}, {"A": None, "B": ""}, "Set B and Remove A config vars"),
    ],
)
def test_a_change_is_told_in_herokus_words(
    current: dict[str, str], changes: dict[str, str | None], description: str | None
) -> None:
    assert describe_config_change(current, changes) == description


CONFIG = st.dictionaries(st.sampled_from("ABCD"), st.text("xy", max_size=2))
CHANGES = st.dictionaries(st.sampled_from("ABCD"), st.none() | st.text("xy", max_size=2))


@given(CONFIG, CHANGES)
def test_a_merge_has_each_change_and_keeps_the_rest(current: dict[str, str], changes: dict[str, str | None]) -> None:
    merged = merge_config(current, changes)
    assert all(merged.get(name) == value for name, value in changes.items())
    assert {name: value for name, value in merged.items() if name not in changes} == {
        name: value for name, value in current.items() if name not in changes
    }
    assert (describe_config_change(current, changes) is None) == (merged == current)
