"""C02 on Docker: the machine of test_model over a real daemon, router, git and engine; killed means SIGKILL."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from tests.acceptance.shop import HELLO
from tests.daemon import Daemon, Shell, shell_for
from tests.faults.mortal import MortalDaemon
from tests.faults.test_model import Platform, run
from tests.paasd.services.world import Outside

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]

FUSE_SECONDS = 0.025  # for each call that a fake daemon would have made
COMMANDS = {
    "serve": "python3 -I -S server.py",
    "work": "sleep 600",
    "crash": "exit 7",
    "migrate": "echo migrated",
    "fail": "exit 3",
}


class Life:
    """Ends by itself some time after `fuse` was set."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self.over = asyncio.Event()
        self._kill = kill

    @property
    def fuse(self) -> int:
        raise AttributeError("it is only lit")

    @fuse.setter
    def fuse(self, calls: int) -> None:
        asyncio.get_running_loop().call_later(calls * FUSE_SECONDS, self.end)

    def end(self) -> None:
        if not self.over.is_set():
            self._kill()
            self.over.set()


class RealDaemon:
    """One life of a daemon over what a former one left, with what Platform asks of one."""

    def __init__(self, daemon: Daemon, shell: Shell) -> None:
        self.life = Life(daemon.kill)
        self._daemon = daemon
        self._shell = shell

    async def start(self) -> None:
        await asyncio.to_thread(self._daemon.start)

    async def kill(self) -> None:
        self.life.end()

    async def call(self, method: str, path: str, body: object = None) -> tuple[int | None, Any]:
        """(status, JSON) of an API call; (None, None) when the daemon died over it."""
        try:
            return await asyncio.to_thread(self._daemon.call, method, path, body)
        except (OSError, urllib.error.URLError, ValueError):
            assert self.life.over.is_set(), f"{method} {path} was not answered"
            return None, None

    async def push(self, name: str, procfile: str) -> tuple[int | None, Any]:
        """(200, what it said) for a push that is served, (422, …) for a rejected one."""
        for word, command in COMMANDS.items():
            procfile = procfile.replace(f": {word}", f": {command}")
        await asyncio.to_thread(self._shell.commit, "A change", {"Procfile": f"{procfile}\n"})
        url = f"{self._daemon.url.replace('//', f'//git:{self._daemon.token}@')}/{name}.git"
        pushing = await asyncio.create_subprocess_exec(
            *("git", "push", "--force", url, "HEAD:main"),
            cwd=self._shell.cwd,
            env=self._shell.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = await pushing.communicate()
        finally:
            if pushing.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(pushing.pid, signal.SIGKILL)
                await pushing.wait()
        if pushing.returncode == 0:
            return 200, said
        return (None, None) if self.life.over.is_set() else (422, said)


class DockerPlatform(Platform):
    """One example on Docker."""

    patience = 60.0
    pause = 0.1
    stuck = 150.0

    async def _begin(self) -> None:
        config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}}
        self._real = Daemon(self.root, config=config)
        self._shell = shell_for_later(self.root / "ann")
        self.outside = cast(Outside, Nothing())
        await self._boot()
        self._shell = await asyncio.to_thread(shell_for, self._real, self.root / "ann", HELLO)
        await self._again()  # with that shell

    async def _boot(self) -> None:
        life = RealDaemon(self._real, self._shell)
        self.daemon = cast(MortalDaemon, life)
        await life.start()

    async def _finish(self) -> None:
        await asyncio.to_thread(self._real.clear_away)

    async def _running(self) -> Sequence[str]:
        return await self._docker("ps", "-q")

    async def _end(self, dyno_id: str) -> None:
        await self._docker("kill", dyno_id, filtered=False)

    async def _docker(self, *arguments: str, filtered: bool = True) -> list[str]:
        """The lines that it says; of this home's containers only."""
        home = (self._real.home / "id").read_text().strip()
        limits = ["--filter", f"label=paasd.home={home}"] if filtered else []
        asking = await asyncio.create_subprocess_exec(
            "docker", *arguments, *limits, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        said, _ = await asking.communicate()
        return said.decode().splitlines()

    async def _dynos(self) -> dict[str, list[tuple[str, int]]]:
        form = '{{.Label "paasd.app"}} {{.Label "paasd.dyno"}} {{.Label "paasd.version"}}'
        known: dict[str, list[tuple[str, int]]] = {}
        for row in await self._docker("ps", "--all", "--format", form):
            app, name, version = row.split()
            known.setdefault(app, []).append((name, int(version)))
        return known

    async def _answer(self, name: str) -> str:
        return await asyncio.to_thread(answer, self._real, name)


class Nothing:
    """What lies outside of a real daemon is asked for in other ways."""

    def __init__(self) -> None:
        self.cut_off = list[str]()


def shell_for_later(directory: Path) -> Shell:
    """One that nothing is done in before the daemon has an address."""
    return Shell(directory, directory)


def answer(daemon: Daemon, name: str) -> str:
    """What a request to the app gets: "v2", or the router's code."""
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.router_port}/")
    request.add_header("Host", f"{name}.localhost:{daemon.router_port}")
    request.add_header("Accept", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as found:
            return str(json.load(found)["release"])
    except urllib.error.HTTPError as error:
        with error:
            said = error.read()
        return str(json.loads(said).get("code", error.code)) if said.startswith(b"{") else str(error.code)


@pytest.mark.row("C02", "any order of calls and kills, against a model: 500 times 30 steps, and 20 times on Docker")
@pytest.mark.parametrize("number", range(1, 5), ids=lambda number: f"docker seed {number}")
def test_the_platform_on_docker_is_what_a_model_says(
    tmp_path: Path, number: int, record_property: Callable[[str, object], None]
) -> None:
    """Five runs a seed, and one more: the first that Hypothesis makes is the simplest there is, not drawn."""
    record_property("steps on Docker", run(tmp_path, 6, 30, number, DockerPlatform))
    record_property("runs on Docker", 6)
