"""A daemon without an engine, with an app of three releases: what the rows of the store are run on."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.daemon import BIN, Daemon, running

NO_ENGINE = {"docker": {"host": "unix:///nonexistent/docker.sock"}}


@contextmanager
def store_daemon() -> Iterator[Daemon]:
    """In a short temporary folder of its own, cleared away at the end."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, config=NO_ENGINE) as daemon:
            assert daemon.call("POST", "/apps", {"name": "shop"})[0] == 201
            for number in range(2):
                assert daemon.call("PATCH", "/apps/shop/config-vars", {"N": str(number)})[0] == 200
            yield daemon
    finally:
        shutil.rmtree(root, ignore_errors=True)


def answers(daemon: Daemon) -> list[Any]:
    """All that the API tells of the app; dynos belong to the engine."""
    paths = ["/account", "/apps", "/apps/shop", "/apps/shop/config-vars", "/apps/shop/releases", "/apps/shop/builds"]
    paths += [f"/apps/shop/releases/{version}" for version in (1, 2, 3)]
    return [daemon.call("GET", path) for path in paths]


def paasd(*arguments: str, seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    """The command, to its end."""
    return subprocess.run([str(BIN / "paasd"), *arguments], capture_output=True, text=True, timeout=seconds)


def serve(daemon: Daemon) -> "subprocess.CompletedProcess[str]":
    """A second or doomed start, which has to end by itself."""
    config = str(daemon.root / "paasd.yaml")
    addresses = ["--api", f"127.0.0.1:{daemon.api_port}", "--router", f"127.0.0.1:{daemon.router_port}"]
    return paasd("serve", "--home", str(daemon.home), "--config", config, *addresses)
