"""The router's process: started in a session of its own, so that it outlives us, and found again by its socket."""

import asyncio
import subprocess
import sys
from pathlib import Path

from paasd.adapters.router_client import RouterClient
from paasd.domain.errors import RouterUnavailable
from paasd.ports import RouterHealth

START_SECONDS = 15.0
DRAIN_SECONDS = 30.0
STOP_MARGIN = 15.0
LOOK_INTERVAL = 0.05
LAST_WORDS_BYTES = 2000


class RouterProcess:
    """RouterHost. With `supervised`, somebody else (systemd, a container) starts and stops it, and we only look.

    `drain`, `websocket_drain`: seconds that a process of it which ends gives to requests and to websockets, from its
    start on. `workers`: how many processes of it serve, 0: one a core. `stop_seconds`: how long `stop` waits for its
    end; None is longer than both.
    """

    def __init__(
        self,
        client: RouterClient,
        *,
        listen: str,
        directory: Path,
        path: str,
        supervised: bool,
        drain: float = DRAIN_SECONDS,
        websocket_drain: float = DRAIN_SECONDS,
        workers: int = 1,
        stop_seconds: float | None = None,
    ) -> None:
        self._client = client
        self._listen = listen
        self._directory = directory
        self._path = path
        self._supervised = supervised
        self._options = (
            *(f"--drain-seconds={drain}", f"--websocket-drain-seconds={websocket_drain}", f"--workers={workers}"),
        )
        longest = max(drain, websocket_drain) + STOP_MARGIN
        self._stop_seconds = longest if stop_seconds is None else stop_seconds
        self._stopped = False
        self._turn = asyncio.Lock()

    async def ensure(self) -> None:
        """Running when this returns, unless it was stopped by request."""
        async with self._turn:
            if self._stopped or await self._whole():
                return
            if self._supervised:
                if await self._answers():
                    return  # without its parent for now: whoever supervises it starts another
                raise RouterUnavailable(
                    f"No router answers in {self._directory} and it is not ours to start; start its unit or container."
                )
            await self._start()

    async def health(self) -> RouterHealth:
        """RouterUnavailable when it does not answer."""
        return await self._client.health()

    async def stop(self) -> None:
        """Let it finish what is in flight; it stays stopped until an upgrade or the daemon's next start."""
        self._stopped = True
        async with self._turn:
            if not await self._answers():
                return
            await self._client.shutdown()
            try:
                async with asyncio.timeout(self._stop_seconds):
                    while await self._answers():  # noqa: ASYNC110 - another process's end: there is no event to await
                        await asyncio.sleep(LOOK_INTERVAL)
            except TimeoutError as error:
                raise RouterUnavailable(
                    f"The router still has requests in flight after {self._stop_seconds:g} seconds and goes on with "
                    "them; ask again when they have ended, or end its process."
                ) from error

    async def upgrade(self) -> None:
        """A fresh process on the same listening socket; not running: it is started."""
        self._stopped = False
        async with self._turn:
            if await self._whole():
                return await self._client.upgrade()
        return await self.ensure()

    async def _answers(self) -> bool:
        try:
            await self._client.health()
        except RouterUnavailable:
            return False
        return True

    async def _whole(self) -> bool:
        """Whether it answers and its parent process lives: without one it serves, but nothing replaces what dies."""
        try:
            return not await self._client.orphaned()
        except RouterUnavailable:
            return False

    async def _start(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = self._directory / "start.err"
        command = [
            *(sys.executable, "-m", "router", "--listen", self._listen),
            *("--router-dir", str(self._directory), "--log", str(self._directory / "router.log")),
            *self._options,
        ]
        with words.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: ASYNC220 - it must outlive us: no transport may own it
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
                cwd="/",
                env={"PATH": self._path, "LC_ALL": "C.UTF-8"},
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._whole():
                    if process.poll() is not None:
                        raise RouterUnavailable(f"The router did not start: {last_words(words)}")
                    await asyncio.sleep(LOOK_INTERVAL)
        except TimeoutError as error:
            raise RouterUnavailable(
                f"The router did not answer {START_SECONDS:g} seconds after its start: {last_words(words)}"
            ) from error


def last_words(path: Path) -> str:
    """The end of what a process said, in one line."""
    text = path.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing; see router.log beside it."
