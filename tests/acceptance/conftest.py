"""One real daemon for all acceptance tests of a session, and users beside it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.shop import Open, Shop, open_shop
from tests.daemon import Daemon, Shell, running, running_alone, shell_for


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """With short deadlines for what tests provoke, and Heroku's figures otherwise."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(
            root,
            config={
                "dynos": {"boot_timeout": 6.0},
                "deploy": {"wait": 5.0, "grace": 5.0},
                "web": {"allow_private": ["127.0.0.9/32"]},
            },
        ) as daemon:
            yield daemon
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def mortal() -> Iterator[Daemon]:
    """One to stop, kill and replace: whoever does leaves one that runs."""
    config = {"dynos": {"boot_timeout": 30.0}, "deploy": {"wait": 5.0, "grace": 5.0}}
    with running_alone(config) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def without_docker() -> Iterator[Daemon]:
    """The same on the process engine."""
    config = {"dynos": {"boot_timeout": 6.0}, "deploy": {"wait": 5.0, "grace": 5.0}}
    with running_alone(config, ("--engine", "process")) as daemon:
        yield daemon


@pytest.fixture
def user(daemon: Daemon, tmp_path: Path) -> Callable[[Path | None], Shell]:
    """Makes a user with a repository filled from a folder."""

    def make(source: Path | None = None) -> Shell:
        return shell_for(daemon, tmp_path / "user", source)

    return make


@pytest.fixture
def opened(daemon: Daemon, tmp_path: Path) -> Open:
    """An app with these files, not yet pushed."""

    def make(name: str, files: Mapping[str, str] | None = None, source: Path | None = None) -> Shop:
        empty = tmp_path / "source"
        empty.mkdir(exist_ok=True)
        (empty / "README").write_text(name)
        shop = open_shop(daemon, tmp_path / name, name, source or empty)
        for path, text in (files or {}).items():
            (shop.shell.cwd / path).parent.mkdir(parents=True, exist_ok=True)
            (shop.shell.cwd / path).write_text(text)
        return shop

    return make
