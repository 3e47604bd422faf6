"""A daemon of their own for the security rows, and two apps: one attacks, the other is attacked."""

from collections.abc import Iterator

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon, running_alone


@pytest.fixture(scope="package")
def daemon() -> Iterator[Daemon]:
    """With short grace."""
    with running_alone({"deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        yield daemon


@pytest.fixture(scope="package")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The attacker's app."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("mallory"), "mallory")
    shop.deploy()
    return shop


@pytest.fixture(scope="package")
def victim(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Somebody else's."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("victim"), "victim")
    shop.deploy()
    return shop
