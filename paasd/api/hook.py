"""The daemon's side of the pre-receive hook: which pushes are deployed, and how they are answered.

Whatever goes wrong rejects the push; a pusher who goes away cancels it.
"""

import asyncio
import contextlib
import os
import re
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

import structlog

from paasd.api.shown import Lines, Shown
from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, PaasError
from paasd.domain.push import DEPLOYED_BRANCHES, Push
from paasd.ports import Write

log = structlog.get_logger(__name__)

Receive = Callable[[Push, Write], Awaitable[None]]
"""Deploys a push, telling the pusher by Write. Raises PaasError to reject it; cancelled when the pusher goes away."""

REQUEST_BYTES = 16 * 1024**2
REQUEST_SECONDS = 10.0
REFS_MAX = 1000  # in one push: git makes each a file, for minutes where there are many thousands
STALLED_SECONDS = 30.0  # a pusher who reads nothing for so long is told no more; the deploy goes on
SOCKET_PATH_BYTES = 100
SHEBANG_BYTES = 120
FRAME_BYTES = 64 * 1024
FAREWELL_SECONDS = 5.0  # for the last words when the daemon stops
STOPPED = b" !     paasd is being stopped and this push was undone; push again when it runs.\n !     Push rejected.\n"
SKIPPED = b"Pushed to non-main branch, skipping build.\n"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class Update:
    """One line of what a push asks for; `old` or `new` is None where the ref begins or ends."""

    ref: str
    old: str | None
    new: str | None


def choose(updates: list[Update]) -> Update | None:
    """The update to deploy, None when there is none. InvalidParams when the push asks for what may not be."""
    if len(updates) > REFS_MAX:
        raise InvalidParams(f"{len(updates):,} branches and tags in one push are more than {REFS_MAX:,}; push fewer.")
    deployed = [update for update in updates if update.ref.removeprefix("refs/heads/") in DEPLOYED_BRANCHES]
    for update in updates:
        if not update.ref.startswith(("refs/heads/", "refs/tags/")):
            raise InvalidParams(f"{update.ref} can't be pushed; push a branch or a tag.")
        if update.ref.startswith(("refs/heads/main/", "refs/heads/master/")):
            raise InvalidParams(f"{update.ref} would stand in the way of the deployed branch; choose another name.")
        if update.new is None and update in deployed:
            raise InvalidParams(
                f"{update.ref.removeprefix('refs/heads/')} is what the app is deployed from and can't be deleted; "
                "to go back, use `heroku rollback`, and to remove the app, `heroku apps:destroy`."
            )
    if len(deployed) > 1:
        raise InvalidParams("main and master can't be pushed at once; push the one that is to be deployed.")
    return deployed[0] if deployed else None


def wants_queue(options: list[str]) -> bool:
    """What `git push -o` said. InvalidParams for what is not known: it was meant to change something."""
    unknown = [option for option in options if option != "queue"]
    if unknown:
        raise InvalidParams(f"The push option {unknown[0][:40]!r} is not known; the only one is `git push -o queue`.")
    return bool(options)


class HookServer:
    """Answers the hook at `socket_path`; `hooks` is the directory (ours alone) the hook is installed in."""

    def __init__(
        self, socket_path: Path, hooks: Path, receive: Receive, *, stalled_seconds: float = STALLED_SECONDS
    ) -> None:
        self._socket_path = socket_path
        self._hooks = hooks
        self._receive = receive
        self._stalled_seconds = stalled_seconds
        self._expected: dict[str, tuple[App, Actor]] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "HookServer":
        install(self._hooks)
        self._server = await asyncio.start_unix_server(self._handle, sock=_listen(self._socket_path))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop accepting, cancel what is under way and wait for its end. May be repeated."""
        if self._server is not None:
            self._server.close()
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)
        self._socket_path.unlink(missing_ok=True)

    @contextmanager
    def expect(self, app: App, actor: Actor) -> Iterator[Mapping[str, str]]:
        """Meanwhile one push to the app by the actor is taken. Gives the variables that its hook must have."""
        push_id = secrets.token_urlsafe(32)
        self._expected[push_id] = (app, actor)
        try:
            yield {"PAASD_HOOK_SOCKET": str(self._socket_path.absolute()), "PAASD_PUSH_ID": push_id}
        finally:
            self._expected.pop(push_id, None)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        pusher = _Pusher(writer, self._stalled_seconds)
        patience: float | None = None  # one who stalled gets the last word when he reads on
        try:
            pusher.finish(await self._answer(reader, pusher))
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            log.info("a push went away before it said what it wants")
        except asyncio.CancelledError:
            pusher.dismiss()
            patience = FAREWELL_SECONDS
        except Exception:
            log.exception("a push could not be answered")
        finally:
            writer.close()
            # closing sends what is left first; stopped while a pusher reads nothing of it, we go
            with contextlib.suppress(OSError, asyncio.CancelledError):
                async with asyncio.timeout(patience):
                    await writer.wait_closed()
            writer.transport.abort()
            self._handlers.discard(handler)

    async def _answer(self, reader: asyncio.StreamReader, pusher: "_Pusher") -> int:
        async with asyncio.timeout(REQUEST_SECONDS):
            length = int.from_bytes(await reader.readexactly(4), "big")
            if length > REQUEST_BYTES:
                raise ConnectionError("a request as long as no push makes it")
            request = await reader.readexactly(length)
        push_id, _, rest = request.partition(b"\0")
        quarantine, _, rest = rest.partition(b"\0")
        options, _, lines = rest.partition(b"\0")
        expected = self._expected.pop(push_id.decode("ascii", "replace"), None)
        if expected is None:
            return await pusher.reject("This push did not come through paasd's own git service; use `git push`.")
        try:
            update, queue = choose(_parse(lines)), wants_queue(options.decode("utf-8", "replace").splitlines())
        except InvalidParams as error:
            return await pusher.reject(error.message)
        if update is None or update.new is None:
            await pusher.write(SKIPPED)
            return 0
        app, actor = expected
        branch = update.ref.removeprefix("refs/heads/")
        place = Path(quarantine.decode("utf-8", "surrogateescape"))
        push = Push(app, actor, branch, update.old, update.new, place, queue=queue)
        return await self._attend(push, reader, pusher)

    async def _attend(self, push: Push, reader: asyncio.StreamReader, pusher: "_Pusher") -> int:
        """Deploy, for as long as the pusher is there; its exit code. The hook says no more, so a read ends with it."""
        async with asyncio.TaskGroup() as group:
            deploy = group.create_task(self._deploy(push, pusher))
            gone = group.create_task(_until_gone(reader))
            await asyncio.wait({deploy, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not deploy.done():
                deploy.cancel()
            gone.cancel()
        return 1 if deploy.cancelled() else deploy.result()

    async def _deploy(self, push: Push, pusher: "_Pusher") -> int:
        try:
            await self._receive(push, pusher.write)
        except PaasError as error:
            return await pusher.reject(error.message)
        except Exception:
            log.exception("a push failed for a fault of ours", app=push.app.name, sha=push.sha)
            return await pusher.reject("Internal error: paasd could not deploy this push; see the daemon's log.")
        return 0


class _Pusher:
    """What the pusher is told: frames of a length and bytes, then an empty one and the hook's exit code."""

    def __init__(self, writer: asyncio.StreamWriter, stalled_seconds: float) -> None:
        self._writer = writer
        self._stalled_seconds = stalled_seconds
        self._listens = True
        self._lines = Lines()
        self._shown = Shown()

    async def write(self, data: bytes) -> None:
        """Waits while the pusher reads slowly; never raises for one who went away. Nothing steers his terminal."""
        data = self._shown.feed(self._lines.feed(data))
        for start in range(0, len(data), FRAME_BYTES):
            part = data[start : start + FRAME_BYTES]
            if not self._listens or self._writer.is_closing():
                return
            self._writer.write(len(part).to_bytes(4, "big") + part)
            try:
                async with asyncio.timeout(self._stalled_seconds):
                    await self._writer.drain()
            except (ConnectionError, TimeoutError):
                self._listens = False

    async def reject(self, sentence: str) -> int:
        """Say why, in Heroku's manner. Returns the exit code."""
        lines = [CONTROL.sub(" ", line).rstrip() for line in sentence.strip().splitlines()]
        text = "".join(f" !     {line}\n" for line in lines if line)
        await self.write(f"{text} !     Push rejected.\n".encode())
        return 1

    def dismiss(self) -> None:
        """The last word when the daemon is being stopped."""
        if not self._writer.is_closing():
            self._writer.write(len(STOPPED).to_bytes(4, "big") + STOPPED)
            self.finish(1)

    def finish(self, code: int) -> None:
        """The last word; one who stalled gets it too, when he reads on."""
        if not self._writer.is_closing():
            self._writer.write(bytes(4) + bytes([code]))


async def _until_gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


def _parse(lines: bytes) -> list[Update]:
    updates = []
    for line in lines.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        old, new, ref = line.split(" ", 2)
        updates.append(Update(ref, _present(old), _present(new)))
    return updates


def _present(sha: str) -> str | None:
    return sha if sha.strip("0") else None


def install(hooks: Path, *, python: str = sys.executable) -> None:
    """Put the hook program there, to be run by `python`; whole or not at all."""
    hooks.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = Path(__file__).with_name("pre_receive.py").read_text("utf-8")
    # -I and -S: nothing of the user's or of site-packages is imported, which is safer and starts in half the time
    first = f"#!{python} -IS"
    if len(first.encode()) > SHEBANG_BYTES or CONTROL.search(first) or " " in python:
        (hooks / "pre_receive.py").write_text(program, "utf-8")
        program = f"exec {shlex.join([python, '-IS', str(hooks.absolute() / 'pre_receive.py')])}\n"
        first = "#!/bin/sh"
    aside = hooks / "pre-receive.new"
    aside.write_text(f"{first}\n{program}", "utf-8")
    aside.chmod(0o700)
    aside.replace(hooks / "pre-receive")


def _listen(path: Path) -> socket:
    path.unlink(missing_ok=True)
    listener = socket(AF_UNIX, SOCK_STREAM)
    try:
        if len(bytes(path)) <= SOCKET_PATH_BYTES:
            listener.bind(str(path))
        else:
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                listener.bind(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.close(directory)
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener
