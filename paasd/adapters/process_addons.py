"""Add-ons as processes of this machine: a server of its own each, on a loopback port of its own, its data in the home.

A server is supervised as a dyno is, so it outlives the daemon, and the next one finds it by its folder:
`addon.json` (kind, port, apps), `data/` (the server's user's alone), and what its supervisor writes.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import structlog

from paasd.adapters import postgres_words, redis_words
from paasd.adapters.addon_each import check_tool, mend_each
from paasd.adapters.process_addon_folder import AddonFolder
from paasd.adapters.process_addon_server import (
    LOOPBACK,
    STOPS,
    TOOLS,
    Programs,
    access,
    client_users,
    environment,
    first_files,
    first_user,
    initdb_words,
    memory_of,
    place_words,
    server_words,
    user_of,
)
from paasd.adapters.process_clients import Clients
from paasd.adapters.process_dynos import PASSABLE
from paasd.adapters.process_launch import Child, Launcher
from paasd.adapters.process_run import BASE_PATH, Runner
from paasd.adapters.process_sandbox import Isolation, View, examine
from paasd.domain.addon import Kind
from paasd.domain.dyno import Limits
from paasd.domain.errors import InvalidParams, NotFound, ProviderFailed, Unavailable
from paasd.ports import Access, Condition, Order, Shell, Size

log = structlog.get_logger(__name__)

READY_SECONDS = 60.0
LOOK_SECONDS = 0.02
STOP_SECONDS = 30.0
PIDS = 600
OPEN_FILES = 10_064
NOT_YET = ("starting up", "recovery", "LOADING", "not yet accepting")
BARE = {"PATH": BASE_PATH, "LANG": "C.UTF-8", "HOME": "/"}


class EmbeddedAddons:
    """The provider `embedded`. `home` names this daemon's home, `place` is its folder."""

    name = "embedded"

    def __init__(self, home: str, place: Path, *, search_path: str, bwrap: bool = True) -> None:
        self._home = home
        self._place = place
        self._root = place / "addons"
        self._programs = Programs(search_path)
        self._bwrap = bwrap
        self._launcher = Launcher()
        self._runner = Runner(Isolation(None, False, None), home, place)
        self._first_user = first_user(home)
        self._turns: dict[str, asyncio.Lock] = {}
        self._held: dict[str, Child] = {}  # the servers' supervisors, by the add-ons' ids
        self._ended: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> "EmbeddedAddons":
        isolation = await asyncio.to_thread(examine, self._programs.search_path, bwrap=self._bwrap)
        self._runner = Runner(isolation, self._home, self._place)
        self._root.mkdir(exist_ok=True)
        self._root.chmod(PASSABLE)
        if isolation.root and isolation.bwrap is None:
            self._place.chmod(PASSABLE)  # servers' users must pass to their own files; all else in it is ours alone
        return self

    async def __aexit__(self, *exc: object) -> None:
        for addon_id in list(self._held):
            self._hold(addon_id, None)
        await self._launcher.end()  # servers go on

    async def problem(self, kind: Kind) -> str | None:
        """Names the package that is missing."""
        return self._programs.problem(kind)

    async def provision(self, order: Order) -> None:
        """Its folder, its data, its server, its user. Nothing is left, unless it was whole before, when it fails."""
        problem = self._programs.problem(order.kind)
        if problem is not None:
            raise ProviderFailed(problem)
        async with self._turn(order) as folder:
            before = folder.whole.exists()
            try:
                folder.make(order, self._first_user)
                await self._run(order, folder)
                folder.whole.touch()
            except BaseException:
                if not before:
                    await self._end(folder)
                    folder.remove()
                raise

    async def access(self, order: Order, app_id: str) -> Access:
        """On loopback."""
        made = self._folder(order).need()
        if app_id not in made["apps"]:
            raise NotFound("The add-on is not attached to this app; attach it with `heroku addons:attach`.")
        return access(order, made["port"])

    async def link(self, order: Order, app_id: str) -> None:
        """Apps share the machine's network: what lets one in is the password."""
        folder = self._folder(order)
        folder.note(apps=sorted({*folder.need()["apps"], app_id}))

    async def unlink(self, order: Order, app_id: str) -> None:
        """All connections end; who has read the password still knows it, until it is rotated."""
        folder = self._folder(order)
        made = folder.made()
        if made is not None and app_id in made["apps"]:
            folder.note(apps=[one for one in made["apps"] if one != app_id])
            if folder.runs():
                await self.hang_up(order)

    async def resize(self, order: Order) -> None:
        """Started again with the plan's limits: down for a moment."""
        used = (await self.condition(order)).used
        bound = order.plan.bound_of(order.kind)
        if bound is not None and used is not None and used > bound:
            raise InvalidParams(
                f"{order.name} has {used} bytes of data and {order.plan.name} is for {bound}; remove some of it, or "
                "choose a larger plan."
            )
        async with self._turn(order) as folder:
            await self._end(folder)
            await self._run(order, folder)

    async def rotate(self, order: Order) -> None:
        """Then ends the connections that were made with the one before."""
        await self._ask(order, postgres_words.rotate_sql, redis_words.rotate_words(order.secret))

    async def hang_up(self, order: Order) -> None:
        """End all connections of the apps' user."""
        await self._ask(order, postgres_words.hang_up_sql, redis_words.hang_up_words())

    async def reset(self, order: Order) -> None:
        """Empty it."""
        await self._ask(order, postgres_words.reset_sql, redis_words.reset_words())

    async def condition(self, order: Order) -> Condition:
        """Asks the server itself."""
        folder = self._folder(order)
        folder.need()
        if not folder.runs():
            return Condition(up=False, detail="Its server has ended; paasd starts it again.")
        try:
            said = await self._ask(order, postgres_words.facts_sql, ["INFO"])
        except (ProviderFailed, Unavailable) as error:
            return Condition(up=False, detail=str(error))
        if order.kind is Kind.POSTGRESQL:
            return postgres_words.condition_of(said, order)
        return redis_words.condition_of(said, order)

    async def mend(self, orders: Sequence[Order]) -> None:
        """Each by itself. Raises the first error then."""
        await mend_each(orders, self._mend)

    async def endings(self) -> AsyncGenerator[str | None, None]:
        """By their supervisors."""
        for addon_id in await self.kept():
            self._hold(addon_id, AddonFolder(self._root / addon_id, Kind.POSTGRESQL).child())
        yield None
        while True:
            yield await self._ended.get()

    async def tool(
        self,
        order: Order,
        argv: Sequence[str],
        env: Mapping[str, str] = {},
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
    ) -> Shell:
        """As a user of its own, in a sandbox where there is one."""
        program = check_tool(order, argv, TOOLS[order.kind])
        port = self._folder(order).need()["port"]
        words = [self._programs.need(order.kind, program), *place_words(program, argv[1:], port)]
        given = {**BARE, **environment(order, port), **env}
        return await self._clients().talk(words, given, size=size, errors=errors)

    async def set_aside(self, order: Order) -> None:
        """Its folder stays."""
        async with self._turn(order) as folder:
            await self._end(folder)

    async def bring_back(self, order: Order) -> None:
        """Its server over the data that was kept."""
        async with self._turn(order) as folder:
            if folder.made() is None:
                gone = f"The data of {order.name} is gone; restore a backup into a new add-on."
                raise NotFound(gone, resource="add_on")
            folder.note(apps=sorted(order.apps))
            await self._run(order, folder)

    async def purge(self, order: Order) -> None:
        """Its folder too."""
        async with self._turn(order) as folder:
            await self._end(folder)
            self._hold(order.addon_id, None)
            await asyncio.to_thread(folder.remove)

    async def kept(self) -> Sequence[str]:
        """By their folders."""
        if not self._root.exists():
            return []
        return sorted(path.name for path in self._root.iterdir() if not path.name.startswith("."))

    # --- its server -------------------------------------------------------------------------------------------------

    def _folder(self, order: Order) -> AddonFolder:
        return AddonFolder(self._root / order.addon_id, order.kind)

    @asynccontextmanager
    async def _turn(self, order: Order) -> AsyncIterator[AddonFolder]:
        async with self._turns.setdefault(order.addon_id, asyncio.Lock()):
            yield self._folder(order)

    def _clients(self) -> Clients:
        return Clients(self._runner, self._launcher, self._root, client_users(self._home, self.name))

    async def _mend(self, order: Order) -> None:
        async with self._turn(order) as folder:
            folder.need()
            folder.note(apps=sorted(order.apps))
            if not folder.runs():
                await self._run(order, folder)

    def _hold(self, addon_id: str, child: Child | None) -> None:
        """To be told of its end; of the one before nobody is any more."""
        before = self._held.pop(addon_id, None)
        if before is not None:
            before.let_go()
        if child is not None and child.ended.is_set():
            self._ended.put_nowait(addon_id)
        elif child is not None:
            child.hear = partial(self._ended.put_nowait, addon_id)
            self._held[addon_id] = child

    async def _run(self, order: Order, folder: AddonFolder) -> None:
        """Its data made, its server started, its user let in."""
        port = folder.need()["port"]
        if not folder.runs():
            folder.put(first_files(order, folder.data, port))
            if order.kind is Kind.POSTGRESQL and not (folder.data / "cluster").exists():
                await self._init(folder)
            folder.own()
            await self._launch(order, folder, server_words(self._programs, order, folder.data, port))
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._settle(order, folder, port)
        except TimeoutError as error:
            raise ProviderFailed(f"{order.name} did not answer within {READY_SECONDS:.0f} s.") from error

    async def _init(self, folder: AddonFolder) -> None:
        """A rename makes it the server's: a call that was killed half way begins anew."""
        new = folder.data / "cluster.new"
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
        words = initdb_words(self._programs, folder.data)
        # initdb wants a user that has a name; the server does not.
        folder.own(user_of(folder.kind) if os.geteuid() == 0 else None)
        await self._clients().run(words, BARE, user=user_of(folder.kind), writable=[folder.data])
        await asyncio.to_thread(folder.own_all, new)
        new.rename(folder.data / "cluster")

    async def _launch(self, order: Order, folder: AddonFolder, words: list[str]) -> None:
        folder.clear()
        wanted = self._runner.launch(
            *(folder.path, ""),
            env=BARE,
            cwd=folder.data,
            view=View([folder.data], [], None),
            user=folder.user,
            limits=Limits(memory=memory_of(order), pids=PIDS, open_files=OPEN_FILES),
        )
        wanted["final"]["argv"] = words
        wanted["stop"] = STOPS[order.kind]
        child, _ = await self._launcher.launch(wanted)
        self._hold(order.addon_id, child)

    async def _settle(self, order: Order, folder: AddonFolder, port: int) -> None:
        """Until it answers; then its user is there, with that password."""
        while not await _answers(port):
            if not folder.runs():
                raise ProviderFailed(f"The server of {order.name} ended ({folder.last_words()}).")
            await asyncio.sleep(LOOK_SECONDS)
        while True:
            try:
                await self._ask(order, postgres_words.settle_sql, redis_words.password_words(order.secret))
            except ProviderFailed as error:
                if not any(words in str(error) for words in NOT_YET):
                    raise
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    async def _ask(self, order: Order, sql: Callable[[Order], str], words: Sequence[str]) -> str:
        """As its superuser; what is said goes by stdin."""
        folder = self._folder(order)
        port = folder.need()["port"]
        if not folder.runs():
            raise Unavailable(f"{order.name} is not up; try again in a moment.")
        if order.kind is Kind.POSTGRESQL:
            argv, given = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1"], sql(order)
        else:
            argv, given = ["redis-cli", "--user", "paasd", "--no-auth-warning"], "\n".join(words) + "\n"
        whole = [self._programs.need(order.kind, argv[0]), *place_words(argv[0], argv[1:], port)]
        env = {**BARE, **environment(order, port, folder.ours())}
        said = await self._clients().run(whole, env, given=given, user=folder.user)
        if order.kind is Kind.REDIS:
            redis_words.check(said)
        return said

    async def _end(self, folder: AddonFolder) -> None:
        """In order, else killed. Absent: fine."""
        child = folder.child()
        if child is None:
            return
        try:
            child.send(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                await child.ended.wait()
        except TimeoutError:
            child.kill()
            await child.ended.wait()
        finally:
            child.let_go()


async def _answers(port: int) -> bool:
    with suppress(OSError):
        _, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.close()
        return True
    return False
