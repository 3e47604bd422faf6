"""The other end of `heroku run` in SSH mode: the client's own `ssh` talks to the process that an offer stands for.

Nobody is asked who they are: the secret that led here was the key, and it has been taken. There is one session, its
command is the offer's whatever the client names, and nothing is forwarded.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace

import asyncssh
import structlog

from paasd.api.rendezvous import STATUS
from paasd.domain.dyno import Exit
from paasd.domain.errors import PaasError
from paasd.ports import Shell, Size
from paasd.services.background import Background
from paasd.services.one_off import Offer, OneOffs, ToolOffer

log = structlog.get_logger(__name__)

GREETING_SECONDS = 30.0
LINGER_SECONDS = 5.0
CHUNK_BYTES = 64 * 1024
PLAIN = (80, 24)  # of a terminal that does not tell its size

Process = asyncssh.SSHServerProcess[bytes]


def make_key() -> asyncssh.SSHKey:
    """A host key, for as long as the daemon lives: the client ignores it."""
    return asyncssh.generate_private_key("ssh-ed25519")


async def hold_session(
    one_offs: OneOffs, background: Background, offer: Offer | ToolOffer, connection: socket.socket, key: asyncssh.SSHKey
) -> None:
    """Serve one on this connection, until it is over. Whoever comes and opens none is let go."""
    visit = _Visit(one_offs, background, offer)
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            ssh = await asyncssh.run_server(
                connection,
                config=[],
                server_factory=_Unasked,
                server_host_keys=[key],
                process_factory=visit.hold,
                encoding=None,
                line_editor=False,  # the dyno's terminal does that
                agent_forwarding=False,
                x11_forwarding=False,
            )
    except (asyncssh.Error, OSError, TimeoutError):
        connection.close()
        return  # the client went away, or spoke no SSH
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GREETING_SECONDS):
                await visit.begun.wait()
        if visit.begun.is_set():
            await visit.over.wait()
    finally:
        ssh.close()
        await ssh.wait_closed()


class _Unasked(asyncssh.SSHServer):
    """Lets in whoever has come this far."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return False


class _Visit:
    """One client, one process."""

    def __init__(self, one_offs: OneOffs, background: Background, offer: Offer | ToolOffer) -> None:
        self._one_offs = one_offs
        self._background = background
        self._offer = offer
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    async def hold(self, process: Process) -> None:
        """What asyncssh calls for a session; a second one is refused."""
        if self.begun.is_set():
            process.exit(1)
            return
        self.begun.set()
        try:
            await self._converse(process)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):  # what was said last is still on its way
                    await process.wait_closed()
        finally:
            self.over.set()

    async def _converse(self, process: Process) -> None:
        # The session says whether there is a terminal: its client asks for one where it has one itself.
        offer = replace(self._offer, size=_size_of(process, self._offer.size))
        try:
            shell = await self._one_offs.open(offer)
        except PaasError as error:
            process.stderr.write(f" !    {error.message}\r\n".encode())
            process.exit(1)
            return
        how: Exit | None = None
        try:
            talk = _Talk(process, shell, self._one_offs.rules.idle, tells_status=offer.tells_status)
            how = await talk.hold(self._one_offs.rules.longest)
        except* PaasError as errors:
            log.info("conversation broken off", dyno=offer.name, reason=str(errors.exceptions[0]))
        finally:
            await self._background.finish(f"end {offer.name}", shell.close(), deliver=False)
            self._one_offs.note_end(offer, how)
        process.exit(how.code & 0xFF if how else 1)


class _Talk:
    """Bytes and sizes from a session to a shell and back, until one of them ends or nobody says anything."""

    def __init__(self, process: Process, shell: Shell, idle: float, *, tells_status: bool) -> None:
        self._process = process
        self._shell = shell
        self._idle = idle
        self._tells_status = tells_status
        self._deadline: Callable[[], None] = lambda: None

    async def hold(self, longest: float) -> Exit | None:
        """How the shell ended; None when the client went away or was silent too long. Raises EngineUnavailable."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        try:
            async with asyncio.timeout(self._idle) as silence:
                self._deadline = lambda: silence.reschedule(min(end, loop.time() + self._idle))
                return await self._exchange()
        except TimeoutError:
            return None

    async def _exchange(self) -> Exit | None:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            speaking = group.create_task(self._speak())
            gone = group.create_task(self._process.wait_closed())
            await asyncio.wait({speaking, gone}, return_when=asyncio.FIRST_COMPLETED)
            said = speaking.done()
            for task in (listening, speaking, gone):
                task.cancel()
        return speaking.result() if said else None

    async def _listen(self) -> None:
        stdin = self._process.stdin
        with contextlib.suppress(asyncssh.Error, ConnectionError):
            while True:
                try:
                    chunk = await stdin.read(CHUNK_BYTES)
                except asyncssh.TerminalSizeChanged as change:
                    await self._shell.resize((change.width, change.height))
                    continue
                except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                    continue  # a terminal sends its Ctrl-C as a byte
                if not chunk:
                    break
                self._deadline()
                await self._shell.write(chunk)
            await self._shell.end_input()

    async def _speak(self) -> Exit | None:
        stdout = self._process.stdout
        try:
            async for chunk in self._shell.output():
                self._deadline()
                stdout.write(chunk)
                await stdout.drain()
            how = await self._shell.wait()
            if self._tells_status:  # the client reads it from the output, in this mode too
                stdout.write(STATUS.format(code=how.code).encode())
                await stdout.drain()
        except (asyncssh.Error, ConnectionError):
            return None
        return how


def _size_of(process: Process, known: Size | None) -> Size | None:
    if process.term_type is None:
        return None
    columns, rows, *_ = process.term_size
    return (columns, rows) if columns and rows else known or PLAIN
