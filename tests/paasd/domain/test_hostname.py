"""Host names: what is one, and what lies over what."""

import pytest

from paasd.domain.errors import InvalidParams
from paasd.domain.hostname import check_hostname, is_within, labels_in, wildcards_over


@pytest.mark.parametrize("name", ["www.example.org", "*.example.org", "xn--bcher-kva.example", "a.b", "1.2.3.a4"])
def test_host_names(name: str) -> None:
    assert check_hostname(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "*",
        "*.",
        "*.org",
        "org",
        "a..b",
        "-a.org",
        "a-.org",
        "a_b.org",
        "A.org",
        "*.*.org",
        "w*.a.org",
        "a.*.b",
        "1.2.3.4",
        "::1",
        "[::1]",
        "1.2",
        "a.1",
        "x" * 64 + ".org",
        ".".join(["x" * 60] * 5),
    ],
)
def test_no_host_names(name: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        check_hostname(name)
    assert refused.value.message.endswith(".")


def test_what_lies_over_what() -> None:
    assert wildcards_over("a.b.org") == ("*.b.org", "*.org")
    assert wildcards_over("*.b.org") == ("*.org",)
    assert wildcards_over("b.org") == ("*.org",)
    assert is_within("a.b.org", "b.org") and is_within("*.b.org", "b.org") and is_within("b.org", "b.org")
    assert not is_within("ab.org", "b.org") and not is_within("org", "b.org")


def test_what_is_directly_under_a_zone() -> None:
    names = ["paas.b.org", "a.paas.b.org", "b.org", "paasb.org", "127.0.0.1"]
    assert labels_in("b.org", names) == {"paas"} and labels_in("localhost", names) == frozenset()
