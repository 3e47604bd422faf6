"""Client programs of servers on this machine: by argument lists, as a user of their own or as the server's, in a
sandbox where there is one. What is secret is in their environment or comes by their stdin: psql has a shell (`\\!`),
which must not see that of others."""

import os
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from paasd.adapters.process_dynos import DynoFolder
from paasd.adapters.process_exec import talk_to
from paasd.adapters.process_launch import Launcher
from paasd.adapters.process_run import Runner
from paasd.adapters.process_sandbox import View
from paasd.adapters.process_shells import ProcessShell
from paasd.adapters.tool_runs import said_by
from paasd.domain.dyno import Limits
from paasd.domain.errors import Unavailable
from paasd.ports import Size

NOBODY = (65534, 65534)
OWN = (-1, -1)  # a user that no other client has
TRIES = 100


class Clients:
    """`place` is a folder for what their supervisors write while they run, `users` the numbers that they may have."""

    def __init__(self, runner: Runner, launcher: Launcher, place: Path, users: range) -> None:
        self._runner = runner
        self._launcher = launcher
        self._place = place
        self._users = users

    async def talk(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
        user: tuple[int, int] | None = OWN,
        writable: Sequence[Path] = (),
    ) -> ProcessShell:
        """One that runs. Where the daemon is not root all run as its own user."""
        folder, own = self._begin()
        wanted = self._runner.launch(
            *(folder.path, ""),
            env=env,
            cwd=Path("/"),
            view=View(list(writable), [], None),
            user=own if user == OWN else user if os.geteuid() == 0 else None,
            limits=Limits(),
            stdio="given",
            tty=size is not None,
        )
        wanted["final"]["argv"] = list(argv)
        return await talk_to(self._launcher, folder, wanted, size, errors)

    def _begin(self) -> tuple[DynoFolder, tuple[int, int] | None]:
        """A client's folder, there as long as it runs and named after its user, which is so no other's meanwhile."""
        if os.geteuid() != 0 or not _is_known(self._users[-1]):
            folder = DynoFolder(self._place / f".client-{uuid.uuid4().hex}")
            folder.path.mkdir(mode=0o700)
            return folder, NOBODY if os.geteuid() == 0 else None
        for _ in range(TRIES):
            number = self._users[secrets.randbelow(len(self._users))]
            folder = DynoFolder(self._place / f".client-{number}")
            with suppress(FileExistsError):
                folder.path.mkdir(mode=0o700)
                return folder, (number, number)
        raise Unavailable("Too many clients of databases run on this machine; try again in a moment.")

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        given: str = "",
        user: tuple[int, int] | None = OWN,
        writable: Sequence[Path] = (),
    ) -> str:
        """What it says that is given this. ProviderFailed, with its last words, unless it exits 0."""
        shell = await self.talk(argv, env, user=user, writable=writable)
        return await said_by(shell, given, Path(argv[0]).name)


def _is_known(number: int) -> bool:
    """Whether this machine has a user of that number: in a user namespace root may have few."""
    lines = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(int(first) <= number < int(first) + int(count) for first, _, count in lines)
