"""`paasd serve --takeover`: a daemon gets the listening sockets of the one that runs, which then lets go of the home.

The sockets stay open throughout: who connects meanwhile waits in their queue. Three words, on a socket in the home:
the newcomer connects; the holder answers what it has (JSON) with the sockets themselves beside it (SCM_RIGHTS); and
only when the newcomer says that it has them, the holder ends. A newcomer that dies before that changes nothing.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from paasd.home import HomeError

log = structlog.get_logger(__name__)

WORD_BYTES = 4096
SOCKETS_MAX = 16
HAVE_THEM = b"have them\n"
ANSWER_SECONDS = 10.0
LET_GO_SECONDS = 120.0  # the holder undoes what is under way first


@dataclass(frozen=True, slots=True)
class Handed:
    """What the holder gave: its process, the address its API has, and the sockets that listen there."""

    process: int
    api: str
    sockets: tuple[socket.socket, ...]

    def listening_at(self, api: str) -> tuple[socket.socket, ...]:
        """Those to go on with at this address: none, and closed, if the new daemon is to have another."""
        if api == self.api:
            return self.sockets
        for each in self.sockets:
            each.close()
        return ()


def ask(path: Path) -> Handed | None:
    """The holder's sockets, which it has let go of when its hold on the home ends; None: nobody is there.

    HomeError when somebody is there and does not hand over: then it goes on as before."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(ANSWER_SECONDS)
        try:
            channel.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise HomeError(f"The daemon can't be asked to hand over ({error.strerror}): {path}.") from error
        try:
            word, descriptors, _, _ = socket.recv_fds(channel, WORD_BYTES, SOCKETS_MAX)
            sockets = tuple(socket.socket(fileno=each) for each in descriptors)
            told = json.loads(word)
            handed = Handed(int(told["process"]), str(told["api"]), sockets)
            channel.sendall(HAVE_THEM)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HomeError(
                f"The daemon that holds the home did not hand over ({type(error).__name__}); it goes on as before. "
                "Stop it and start this one without --takeover."
            ) from error
        return handed


class Holder:
    """Listens for a newcomer; `let_go` is called once it has the sockets. An async context: closed, it is not asked."""

    def __init__(
        self, path: Path, api: str, sockets: Callable[[], Sequence[socket.socket]], let_go: Callable[[], None]
    ):
        self._path = path
        self._api = api
        self._sockets = sockets
        self._let_go = let_go
        self._listener: socket.socket | None = None

    async def __aenter__(self) -> "Holder":
        self._path.unlink(missing_ok=True)  # of one that was killed
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(4)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._meet)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Before the home is let go of: the file's name is the next one's."""
        self._stop()
        self._path.unlink(missing_ok=True)

    def _stop(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _meet(self) -> None:
        """Give a newcomer the sockets, and wait for its word without holding anybody up."""
        assert self._listener is not None
        try:
            channel, _ = self._listener.accept()
        except OSError:
            return
        loop = asyncio.get_running_loop()
        channel.setblocking(False)
        try:
            if peer(channel) not in (0, os.geteuid()):
                raise PermissionError("it is another user's")
            word = json.dumps({"process": os.getpid(), "api": self._api}).encode()
            socket.send_fds(channel, [word], [each.fileno() for each in self._sockets()])
        except OSError as error:
            log.warning("not handed over", reason=str(error))
            channel.close()
            return
        late = loop.call_later(ANSWER_SECONDS, self._part, channel)
        loop.add_reader(channel, self._hear, channel, late)

    def _hear(self, channel: socket.socket, late: asyncio.TimerHandle) -> None:
        late.cancel()
        word = b""
        with contextlib.suppress(OSError):
            word = channel.recv(WORD_BYTES)
        self._part(channel)
        if word == HAVE_THEM and self._listener is not None:
            self._stop()
            log.info("handing over", reason="another daemon takes over")
            self._let_go()

    def _part(self, channel: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(channel)
        channel.close()


def peer(channel: socket.socket) -> int:
    """The user id of who is at the other end."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
