"""`paasd` as a program: what it prints, how it ends, and never a traceback for what a user can cause."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paasd import __version__
from tests.daemon import BIN, free_port, stop_router, wait_until
from tests.router.process import RouterProcess


@pytest.fixture
def root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield path
    stop_router(path / "home-router")
    shutil.rmtree(path)


def paasd(*arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    bare = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **(env or {})}
    command = [str(BIN / "paasd"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=bare)


def refused(*arguments: str, code: int = 1, env: dict[str, str] | None = None) -> str:
    """Exit code as expected, nothing on stdout, and one sentence of ours on stderr, which is returned."""
    done = paasd(*arguments, env=env)
    lines = [line for line in done.stderr.splitlines() if line.startswith("paasd: ")]
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].endswith(".") or lines[0].endswith("?")
    return lines[0]


def test_help_names_the_commands_and_options() -> None:
    done = paasd("--help")
    assert done.returncode == 0
    for word in ("serve", "token", "doctor", "--version"):
        assert word in done.stdout
    serve = paasd("serve", "-h").stdout
    for option in ("--home", "--config", "--api", "--router", "--router-dir", "--engine", "--log"):
        assert option in serve
    assert paasd("--version").stdout == f"paasd, version {__version__}\n"


def test_a_wrong_option_is_exit_code_2() -> None:
    done = paasd("serve", "--prot", "1")
    assert done.returncode == 2
    assert "No such option" in done.stderr


def test_token_prints_the_token_and_nothing_else(root: Path) -> None:
    (root / "token").write_text("abc\n")
    done = paasd("token", "--home", str(root))
    assert (done.returncode, done.stdout, done.stderr) == (0, "abc\n", "")
    assert paasd("token", env={"PAASD_HOME": str(root)}).stdout == "abc\n"


def test_token_before_the_first_start(root: Path) -> None:
    said = refused("token", "--home", str(root / "none"))
    assert "none/token can't be read (No such file or directory); start `paasd serve --home" in said


def test_serve_with_settings_that_can_not_be_meant(root: Path) -> None:
    config = root / "paasd.yaml"
    config.write_text("roter: 127.0.0.1:1\n")
    said = refused("serve", "--home", str(root / "home"), "--config", str(config), code=2)
    assert said == "paasd: Unknown setting roter: did you mean router?"
    said = refused("serve", "--home", str(root / "home"), "--api", "0.0.0.0:5500", code=2)
    assert "insecure_http" in said
    assert not (root / "home").exists()


@pytest.mark.parametrize(
    ("addons", "words"),
    [("partners: [absent.json]", "absent.json can't be read"), ("services: {mysql: {}}", "addons.services.mysql")],
)
def test_serve_with_add_ons_that_can_not_be_had(root: Path, addons: str, words: str) -> None:
    """Bites: SettingsError left to the interpreter where the daemon finds it."""
    config = root / "paasd.yaml"
    config.write_text(f"engine: process\naddons: {{{addons}}}\n")
    api, router = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    options = ("--config", str(config), "--api", api, "--router", router)
    assert words in refused("serve", "--home", str(root / "home"), *options, code=2)


def test_serve_where_no_home_can_be(root: Path) -> None:
    (root / "file").write_text("")
    assert "can't be made or used" in refused("serve", "--home", str(root / "file" / "home"))


def test_serve_on_a_port_that_is_taken(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        api = f"127.0.0.1:{taken.getsockname()[1]}"
        router = f"127.0.0.1:{free_port()}"
        said = refused("serve", "--home", str(root / "home"), "--api", api, "--router", router)
    assert said == (f"paasd: {api} can't be listened on (Address already in use); choose another with --api HOST:PORT.")


def test_serve_with_an_address_that_is_not_ours(root: Path) -> None:
    said = refused("serve", "--home", str(root / "home"), "--api", "127.0.0.1:1x", code=2)
    assert "write HOST:PORT" in said


def test_serve_with_a_store_that_is_no_database(root: Path) -> None:
    home = root / "home"
    home.mkdir()
    (home / "store.db").write_text("this is not a database, it is a text of some length " * 100)
    assert "paasd doctor --repair" in refused("serve", "--home", str(home))


def test_serve_with_an_empty_token_file(root: Path) -> None:
    home = root / "home"
    home.mkdir()
    (home / "token").touch(mode=0o600)
    api, router = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    assert "token is empty" in refused("serve", "--home", str(home), "--api", api, "--router", router)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_with_0_when_it_is_told_to(root: Path, number: signal.Signals) -> None:
    api, router = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [str(BIN / "paasd"), "serve", "--home", str(root / "home"), "--api", api, "--router", router]
    with (root / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        wait_until((root / "home" / "api").exists, 30, "it does not serve", process)
        process.send_signal(number)
        assert process.wait(30) == 0, (root / "log").read_text()
    assert "Traceback" not in (root / "log").read_text()


# --- paasd router -----------------------------------------------------------------------------------------------------


async def test_a_router_is_asked_and_renewed_without_a_daemon(root: Path) -> None:
    router = RouterProcess(root / "home-router", "--workers", "2")
    router.start()
    home = ("--home", str(root / "home"))
    before = await router.workers()
    try:
        await router.publish()
        said = await asyncio.to_thread(paasd, "router", "status", *home)
        assert (said.returncode, said.stderr) == (0, "")
        assert f"listens on 127.0.0.1:{router.port} and serves table 1 (0 apps)" in said.stdout
        assert (await asyncio.to_thread(paasd, "router", "upgrade", *home)).returncode == 0
        after = await router.workers()
        assert len(after) == len(before) == 2
        assert set(after).isdisjoint(before)
    finally:
        router.stop()


def test_a_router_that_does_not_run_is_a_sentence(root: Path) -> None:
    for command in ("status", "upgrade"):
        assert "does not answer" in refused("router", command, "--home", str(root / "home"))
