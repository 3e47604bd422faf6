"""Client programs of servers on this machine: by argument lists, as nobody or as the server's user, in a sandbox where
there is one. What is secret is in their environment or comes by their stdin."""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from paasd.adapters.process_dynos import DynoFolder
from paasd.adapters.process_exec import talk_to
from paasd.adapters.process_launch import Launcher
from paasd.adapters.process_run import Runner
from paasd.adapters.process_sandbox import View
from paasd.adapters.process_shells import ProcessShell
from paasd.adapters.tool_runs import said_by
from paasd.domain.dyno import Limits
from paasd.ports import Size

NOBODY = (65534, 65534)


class Clients:
    """`place` is a folder for what their supervisors write while they run."""

    def __init__(self, runner: Runner, launcher: Launcher, place: Path) -> None:
        self._runner = runner
        self._launcher = launcher
        self._place = place

    async def talk(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
        user: tuple[int, int] | None = NOBODY,
        writable: Sequence[Path] = (),
    ) -> ProcessShell:
        """One that runs. Where the daemon is not root all run as its own user."""
        folder = DynoFolder(self._place / f".client-{uuid.uuid4().hex}")
        folder.path.mkdir(mode=0o700)
        wanted = self._runner.launch(
            *(folder.path, ""),
            env=env,
            cwd=Path("/"),
            view=View(list(writable), [], None),
            user=user if os.geteuid() == 0 else None,
            limits=Limits(),
            stdio="given",
            tty=size is not None,
        )
        wanted["final"]["argv"] = list(argv)
        return await talk_to(self._launcher, folder, wanted, size, errors)

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        given: str = "",
        user: tuple[int, int] | None = None,
        writable: Sequence[Path] = (),
    ) -> str:
        """What it says that is given this. ProviderFailed, with its last words, unless it exits 0."""
        shell = await self.talk(argv, env, user=user, writable=writable)
        return await said_by(shell, given, Path(argv[0]).name)
