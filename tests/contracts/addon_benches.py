"""The providers that the contract suite runs over, each with a home of its own that is cleaned up."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from paasd.adapters.docker_addons import DockerAddons
from paasd.adapters.partner_addons import PartnerAddons
from paasd.adapters.process_addon_server import Programs
from paasd.adapters.process_addons import EmbeddedAddons
from paasd.adapters.shared_addons import SharedAddons
from paasd.adapters.web_fetch import WebFetch
from paasd.domain.addon import Kind, Plan
from paasd.ports import Access, AddonProvider, Order
from tests.contracts.engines import REMOVING, docker, eventually, make_home, require_docker
from tests.contracts.own_postgres import OwnPostgres
from tests.keeper import Keeper, ask
from tests.leftovers import remove_labelled

MEGABYTE = 1024 * 1024
SEARCH_PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/bin"
PLANS = {
    Kind.POSTGRESQL: Plan("p1", "heroku-postgresql:essential-0", "Essential 0", 256 * MEGABYTE, 1024 * MEGABYTE, 20),
    Kind.REDIS: Plan("r1", "heroku-redis:mini", "Mini", 32 * MEGABYTE, None, 20),
    Kind.PARTNER: Plan("k1", "keeper:large", "Large"),
}


async def nothing() -> None:
    """The daemon starts what was killed."""


@dataclass
class AddonBench:
    """A provider under test. `kill` ends an add-on's server as a crash does; `trace` is what the machine has of one."""

    provider: AddonProvider
    kind: Kind
    kill: Callable[[Order], Awaitable[None]]
    traces: Callable[[], Awaitable[list[str]]]
    again: Callable[[], AddonProvider]  # another daemon's, over the same
    orders: list[Order] = field(default_factory=list)
    restart: Callable[[], Awaitable[None]] = nothing  # what whoever runs the server does, where that is not the daemon

    def order(self, *apps: str) -> Order:
        """A new add-on's, of one app unless said otherwise."""
        made = Order(
            addon_id=str(uuid.uuid4()),
            name=f"shop-{uuid.uuid4().hex[:6]}",
            kind=self.kind,
            plan=PLANS[self.kind],
            apps=apps or (str(uuid.uuid4()),),
            secret=uuid.uuid4().hex + uuid.uuid4().hex,
        )
        self.orders.append(made)
        return made

    async def provisioned(self, *apps: str) -> Order:
        """One that answers; of a partner's with what it gave, as the ledger has it then."""
        order = self.order(*apps)
        made = await self.provider.provision(order)
        return order if made is None else replace(order, resource=made.resource, values=made.values)

    async def tool(self, order: Order, *argv: str, given: bytes = b"") -> tuple[int, bytes]:
        """(exit code, output) of one of its programs."""
        shell = await self.provider.tool(order, argv)
        try:
            async with asyncio.timeout(60):
                writing = asyncio.ensure_future(shell.write(given))
                writing.add_done_callback(lambda _: asyncio.ensure_future(shell.end_input()))
                said = b"".join([chunk async for chunk in shell.output()])
                return (await shell.wait()).code, said
        finally:
            await shell.close()

    async def say(self, order: Order, words: str) -> str:
        """What the server answers its app's user; AssertionError where that is an error."""
        argv = ("psql", "-qAtX", "-v", "ON_ERROR_STOP=1") if self.kind is Kind.POSTGRESQL else ("redis-cli", "-e")
        code, said = await self.tool(order, *argv, given=f"{words}\n".encode())
        text = said.decode().strip()
        assert code == 0 and not text.startswith(("ERR", "NOAUTH", "NOPERM", "WRONGPASS")), text
        return text

    async def put(self, order: Order, value: str) -> None:
        """A row, committed."""
        if self.kind is Kind.PARTNER:
            url, token = order.values["URL"], order.values["TOKEN"]
            assert (await asyncio.to_thread(ask, "PUT", f"{url}/values/{value}", token, b"kept"))[0] == 204
        elif self.kind is Kind.POSTGRESQL:
            await self.say(order, f"CREATE TABLE IF NOT EXISTS kept (v text); INSERT INTO kept VALUES ('{value}');")
        else:
            assert await self.say(order, f"SADD kept {value}") == "1"

    async def rows(self, order: Order) -> list[str]:
        """All that was put."""
        if self.kind is Kind.PARTNER:
            status, said = await asyncio.to_thread(ask, "GET", f"{order.values['URL']}/values", order.values["TOKEN"])
            assert status == 200, said
            return sorted(json.loads(said))
        if self.kind is Kind.POSTGRESQL:
            return sorted((await self.say(order, "SELECT v FROM kept;")).split())
        return sorted((await self.say(order, "SMEMBERS kept")).split())

    async def is_let_in(self, access: Access) -> bool:
        """Whether somebody who has this URL gets in from this host."""
        return await asyncio.to_thread(lets_in, self.kind, access)


def lets_in(kind: Kind, access: Access) -> bool:
    """By real clients where this host has them."""
    if kind is Kind.PARTNER:
        return ask("GET", f"{access.config['URL']}/values", access.config["TOKEN"])[0] == 200
    if kind is Kind.POSTGRESQL:
        words = ["psql", "-qAtX", access.url, "-c", "SELECT 1"]
        environment = {"PATH": os.environ["PATH"], "PGCONNECT_TIMEOUT": "5"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip() == "1"
    with redis(access) as said:
        return said("PING") == "+PONG"


class redis:
    """A client of the plainest kind: one connection, one line an answer."""

    def __init__(self, access: Access) -> None:
        self._socket = socket.create_connection((access.host, access.port), 5)
        self._file = self._socket.makefile("rw", newline="\r\n")
        self._secret = access.url.partition("@")[0].rpartition(":")[2]

    def __enter__(self) -> Callable[[str], str]:
        self.say(f"AUTH {self._secret}")
        return self.say

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self._socket.close()

    def say(self, words: str) -> str:
        self._file.write(f"{words}\r\n")
        self._file.flush()
        return self._file.readline().strip()


@asynccontextmanager
async def container_bench(kind: Kind) -> AsyncIterator[AddonBench]:
    """Containers of a home of its own."""
    require_docker()
    home = f"test{uuid.uuid4().hex[:8]}"

    def again() -> DockerAddons:
        return DockerAddons(home, search_path=os.environ["PATH"])

    async def kill(order: Order) -> None:
        await asyncio.to_thread(docker, "kill", f"paasd-{home}-{order.addon_id}")

    async def traces() -> list[str]:
        label = f"label=paasd.home={home}"
        found = await asyncio.to_thread(docker, "ps", "-aq", "--filter", label)
        volumes = await asyncio.to_thread(docker, "volume", "ls", "-q", "--filter", label)
        return (found.stdout + volumes.stdout).split()

    try:
        async with again() as provider:
            yield AddonBench(provider, kind, kill, traces, again)
    finally:
        REMOVING.submit(remove_labelled, home)


@asynccontextmanager
async def embedded_bench(kind: Kind) -> AsyncIterator[AddonBench]:
    """Servers of this machine, in a home of its own."""
    require(kind)
    with tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        home, place = uuid.uuid4().hex[:8], await asyncio.to_thread(make_home, name)

        def again() -> EmbeddedAddons:
            return EmbeddedAddons(home, place, search_path=SEARCH_PATH)

        async def kill(order: Order) -> None:
            folder = place / "addons" / order.addon_id
            ran = json.loads(await asyncio.to_thread((folder / "run.json").read_text))
            os.kill(ran["child"], signal.SIGKILL)
            await eventually(lambda: asyncio.to_thread((folder / "exit.json").exists))

        async def traces() -> list[str]:
            return await asyncio.to_thread(os.listdir, place / "addons")

        async with again() as provider:
            bench = AddonBench(provider, kind, kill, traces, again)
            try:
                yield bench
            finally:
                for order in bench.orders:
                    await provider.purge(order)


@asynccontextmanager
async def shared_bench(kind: Kind) -> AsyncIterator[AddonBench]:
    """A database each on a PostgreSQL that the test starts as an operator would, as somebody who is no superuser."""
    require(kind)
    with tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        home, place = uuid.uuid4().hex[:8], await asyncio.to_thread(make_home, name)
        (place / "tmp").mkdir(mode=0o700)
        server = await asyncio.to_thread(OwnPostgres.make, Path(name, "operators"))

        def again() -> SharedAddons:
            return SharedAddons(home, place, server.url, search_path=SEARCH_PATH)

        async def kill(_: Order) -> None:
            await asyncio.to_thread(server.stop, signal.SIGQUIT)  # immediate: as a crash, for those who are connected

        async def traces() -> list[str]:
            ours = "SELECT datname FROM pg_database WHERE datname ~ '^d[0-9a-f]{14}$' UNION ALL "
            ours += "SELECT rolname FROM pg_roles WHERE rolname ~ '^u[0-9a-f]{14}$'"
            return (await asyncio.to_thread(server.say, ours)).split()

        try:
            async with again() as provider:
                restart = partial(asyncio.to_thread, server.start)
                yield AddonBench(provider, kind, kill, traces, again, restart=restart)
        finally:
            await asyncio.to_thread(server.stop, signal.SIGQUIT)


@asynccontextmanager
async def partner_bench(kind: Kind) -> AsyncIterator[AddonBench]:
    """A third party, which is a process of its own."""
    with tempfile.TemporaryDirectory(prefix="paasd-") as name:
        keeper = Keeper(Path(name))
        manifest = keeper.manifest()

        def again() -> PartnerAddons:
            return PartnerAddons(manifest, WebFetch(("127.0.0.0/8",)), "http://127.0.0.1:9", b"k" * 32)

        async def kill(_: Order) -> None:
            await asyncio.to_thread(keeper.kill)

        async def restart() -> None:
            await asyncio.to_thread(keeper.start)

        async def traces() -> list[str]:
            return list(keeper.resources())

        await restart()
        try:
            async with again() as provider:
                yield AddonBench(provider, kind, kill, traces, again, restart=restart)
        finally:
            keeper.kill()


def require(kind: Kind) -> None:
    """Skip where the OS's package is missing, fail where PAASD_REQUIRE names the kind."""
    problem = Programs(SEARCH_PATH).problem(kind)
    if problem is not None and kind.value in os.environ.get("PAASD_REQUIRE", ""):
        pytest.fail(problem)
    if problem is not None:
        pytest.skip(problem)


PROVIDERS: dict[str, Callable[[Kind], AbstractAsyncContextManager[AddonBench]]] = {
    "container": container_bench,
    "embedded": embedded_bench,
    "shared": shared_bench,
    "partner": partner_bench,
}
