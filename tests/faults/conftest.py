"""One daemon for the faults after which it serves on as before; the others have one of their own."""

from collections.abc import Iterator

import pytest

from tests.daemon import Daemon, running_alone


@pytest.fixture(scope="session")
def brisk() -> Iterator[Daemon]:
    """With few seconds to wait for anything, and to be killed. Each module has an app of its own on it."""
    with running_alone({"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}}) as daemon:
        yield daemon
