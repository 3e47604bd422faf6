"""The other end of `heroku run`: a client comes over TLS with a secret, and talks to the process it stands for.

Raw bytes both ways after "rendezvous". The traps of the clients, each seen with them, are told where they are met.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable

import structlog

from paasd.domain.dyno import Exit
from paasd.domain.errors import PaasError
from paasd.ports import Shell
from paasd.services.background import Background
from paasd.services.one_off import Offer, OneOffs, ToolOffer

log = structlog.get_logger(__name__)

SECRET = re.compile(rb"[0-9a-f]{32}")
AFTER_SECRET = re.compile(rb"(\?[^\r\n]*)?\r?\n")  # one client sends none of this
END_OF_INPUT = b"\x04"
STATUS = "\uffff heroku-command-exit-status: {code}\n"
GREETING_SECONDS = 30.0
APART_SECONDS = 0.05
LINGER_SECONDS = 0.5
CHUNK_BYTES = 64 * 1024


class Rendezvous:
    """Makes a protocol for each client that comes."""

    def __init__(self, one_offs: OneOffs, background: Background) -> None:
        self._one_offs = one_offs
        self._background = background

    def make(self) -> asyncio.Protocol:
        """For a connection whose first byte told that it is one."""
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._background.spawn("rendezvous", self._meet(reader, writer))

        return asyncio.StreamReaderProtocol(reader, begin)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                secret = await reader.readexactly(32)
            offer = self._one_offs.take(secret.decode()) if SECRET.fullmatch(secret) else None
            if offer is None:
                return
            writer.write(b"rendezvous\r\n")
            await writer.drain()
            # The client throws its whole first chunk away: nothing may be glued to the greeting.
            await asyncio.sleep(APART_SECONDS)
            await self._converse(offer, reader, writer)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(
        self, offer: Offer | ToolOffer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            shell = await self._one_offs.open(offer)
        except PaasError as error:
            writer.write(f" !    {error.message}\r\n".encode())
            await writer.drain()
            return
        how: Exit | None = None
        try:
            how = await Conversation(shell, offer, self._one_offs.rules.idle).hold(
                reader, writer, self._one_offs.rules.longest
            )
        except* PaasError as errors:
            log.info("conversation broken off", dyno=offer.name, reason=str(errors.exceptions[0]))
        finally:
            await self._background.finish(f"end {offer.name}", shell.close(), deliver=False)
            self._one_offs.note_end(offer, how)


class Conversation:
    """Bytes from a client to a shell and back, until the shell ends, the client goes, or nobody says anything."""

    def __init__(self, shell: Shell, offer: Offer | ToolOffer, idle: float) -> None:
        self._shell = shell
        self._tty = offer.size is not None
        self._tells_status = offer.tells_status
        self._idle = idle
        self._deadline: Callable[[], None] = lambda: None
        self._input_over = asyncio.Event()

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, longest: float) -> Exit | None:
        """How the shell ended; None when the client went away or was silent too long. Raises EngineUnavailable."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        try:
            async with asyncio.timeout(self._idle) as silence:
                self._deadline = lambda: silence.reschedule(min(end, loop.time() + self._idle))
                return await self._exchange(reader, writer)
        except TimeoutError:
            return None

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exit | None:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(reader))
            speaking = group.create_task(self._speak(writer))
            await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done() and self._client_gone(reader):
                speaking.cancel()
                return None
            await asyncio.wait({speaking})
            # A client that still sends the end of its input when we hang up fails: it is given a moment for it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await self._input_over.wait()
            listening.cancel()
        return speaking.result()

    def _client_gone(self, reader: asyncio.StreamReader) -> bool:
        """Its connection is over; one that has only ended its input goes on reading."""
        return reader.at_eof() or reader.exception() is not None

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """The client's bytes, less what may follow the secret. Without a terminal its last ^D is the end of input."""
        first = True
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                self._deadline()
                if first and (rest := AFTER_SECRET.match(chunk)):
                    chunk = chunk[rest.end() :]
                first = False
                over = chunk.endswith(END_OF_INPUT)
                if over and not self._tty:
                    chunk = chunk.removesuffix(END_OF_INPUT)
                if chunk:
                    await self._shell.write(chunk)
                if over:
                    self._input_over.set()
                    if not self._tty:
                        await self._shell.end_input()

    async def _speak(self, writer: asyncio.StreamWriter) -> Exit | None:
        """What the shell prints, and at last its exit status where the client asked for it: whole, in a write of its
        own, for the client looks for it in each chunk alone."""
        try:
            async for chunk in self._shell.output():
                self._deadline()
                writer.write(chunk)
                await writer.drain()
            how = await self._shell.wait()
            if self._tells_status:
                writer.write(STATUS.format(code=how.code).encode())
                await writer.drain()
        except ConnectionError:
            return None
        return how
