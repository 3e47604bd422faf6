"""Which branches are deployed."""

from paasd.domain.push import DEPLOYED_BRANCHES


def test_main_is_looked_for_before_master() -> None:
    assert DEPLOYED_BRANCHES == ("main", "master")
