"""What the marks mean: a test that needs a tool skips itself, saying why, where the tool is missing.

PAASD_REQUIRE=docker,heroku_cli,bubblewrap,postgresql,redis,zsh,fish (set by CI) turns such a skip into a failure.
"""

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from paasd.adapters.migrate import migrate
from paasd.adapters.process_sandbox import examine

ROOT = Path(__file__).parent.parent
STACK_IMAGE = "paasd/stack:bookworm"
TOOLS = ROOT / ".tools" / "bin"
LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("libfaketime.so.1"))
CLIENTS = ROOT / ".tools" / "clients" / "node_modules"


@functools.cache
def why_no_docker() -> str | None:
    """None when an engine answers and has the stack image."""
    if shutil.which("docker") is None:
        return "the docker client is not installed (make setup)"
    command = ["docker", "image", "inspect", "--format", "ok", STACK_IMAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "the Docker Engine does not answer"
    if done.returncode == 0:
        return None
    return f"{done.stderr.strip() or STACK_IMAGE + ' is missing'} (make setup)"


@functools.cache
def heroku_cli() -> Path | None:
    """The official CLI that `make heroku-cli` installed, or one on PATH."""
    own = TOOLS / "heroku"
    if own.exists():
        return own
    found = shutil.which("heroku")
    return Path(found) if found else None


def why_no_heroku_cli() -> str | None:
    """None when the CLI is there."""
    return None if heroku_cli() else "the heroku CLI is not installed (make heroku-cli)"


def why_no_other_clients() -> str | None:
    """None when they are there."""
    return None if CLIENTS.exists() else "the other clients are not installed (make other-clients)"


def why_no_faketime() -> str | None:
    """None when it is there."""
    return None if LIBFAKETIME.is_absolute() else "libfaketime is not installed (apt-get install libfaketime)"


@functools.cache
def why_no_bubblewrap() -> str | None:
    """None when it is there, and works."""
    if examine(os.environ["PATH"]).bwrap is not None:
        return None
    return "bubblewrap is not installed, or may not be used here (apt-get install bubblewrap)"


def why_no_program(name: str) -> Callable[[], str | None]:
    """None when it is on PATH."""
    return lambda: None if shutil.which(name) else f"{name} is not installed (make shells)"


REASONS: dict[str, Callable[[], str | None]] = {
    "docker": why_no_docker,
    "heroku_cli": why_no_heroku_cli,
    "other_clients": why_no_other_clients,
    "faketime": why_no_faketime,
    "bubblewrap": why_no_bubblewrap,
    "zsh": why_no_program("zsh"),
    "fish": why_no_program("fish"),
}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest schema, to be copied: making one takes a second."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    migrate(path)
    return path


def pytest_configure() -> None:
    """A run in the background is started with SIGINT ignored, and what ignores it at its start is deaf to Ctrl-C: so
    would be each program whose Ctrl-C is tested here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail where the tool is required."""
    required = {name.strip() for name in os.environ.get("PAASD_REQUIRE", "").split(",")}
    for mark, reason in REASONS.items():
        if item.get_closest_marker(mark) is None or (why := reason()) is None:
            continue
        if mark in required:
            pytest.fail(f"{mark} is required here, but {why}", pytrace=False)
        pytest.skip(why)
