"""A PostgreSQL that several apps share: what one of them does there, as its own role, harms no other.

Servers older than 15, and those upgraded from one, let everybody make functions in the schema public of the databases
that are there from the beginning: so does the one of these tests.
"""

import asyncio
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from paasd.adapters.postgres_words import database_of, role_of, shared_settle_sql
from paasd.adapters.process_addon_server import Programs
from paasd.adapters.shared_addons import SharedAddons
from paasd.domain.addon import Kind
from paasd.ports import Order
from tests.contracts.addon_benches import PLANS, SEARCH_PATH, require
from tests.contracts.engines import eventually, make_home
from tests.contracts.own_postgres import OwnPostgres

OPTIONS = ("-qAtX", "-v", "ON_ERROR_STOP=1")
APP = "3f0c7a52-5f0d-4d39-9f3c-0d3f7a52dddd"


@dataclass
class Server:
    """The operator's, the provider over it, and the add-on of an app that attacks others."""

    own: OwnPostgres
    provider: SharedAddons
    mallory: Order

    async def ordered(self) -> Order:
        """Another app's, provisioned."""
        order = new_order()
        await self.provider.provision(order)
        return order

    async def say(self, sql: str, database: str) -> "subprocess.CompletedProcess[str]":
        """What the attacker's role is told."""
        words = self.words(self.mallory, database, sql)
        return await asyncio.to_thread(lambda: subprocess.run(words, capture_output=True, text=True))

    def words(self, order: Order, database: str, sql: str) -> list[str]:
        url = f"postgres://{role_of(order.addon_id)}:{order.secret}@127.0.0.1:{self.own.port}/{database}"
        return [psql(), url, *OPTIONS, "-c", sql]

    @asynccontextmanager
    async def connected(self, order: Order, database: str) -> AsyncIterator[None]:
        """Its role is, meanwhile."""

        async def there() -> bool:
            return self.own.say("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"

        sleeping = await asyncio.create_subprocess_exec(*self.words(order, database, "SELECT pg_sleep(60)"))
        try:
            await eventually(there)
            yield
        finally:
            with suppress(ProcessLookupError):
                sleeping.kill()
            await sleeping.wait()


def psql() -> str:
    return Programs("").need(Kind.POSTGRESQL, "psql")


def new_order() -> Order:
    addon_id = str(uuid.uuid4())
    return Order(addon_id, f"postgresql-{addon_id[:8]}", Kind.POSTGRESQL, PLANS[Kind.POSTGRESQL], (APP,), "s3cret")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    require(Kind.POSTGRESQL)
    with tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        place = await asyncio.to_thread(make_home, name)
        (place / "tmp").mkdir(mode=0o700)
        own = await asyncio.to_thread(OwnPostgres.make, Path(name, "operators"))
        try:
            for database in ("postgres", "template1"):
                own.say("GRANT CREATE ON SCHEMA public TO PUBLIC", database)
            async with SharedAddons("7e57ab1e", place, own.url, search_path=SEARCH_PATH) as provider:
                mallory = new_order()
                await provider.provision(mallory)
                yield Server(own, provider, mallory)
        finally:
            await asyncio.to_thread(own.stop)


async def test_no_app_keeps_others_from_having_databases(server: Server) -> None:
    """A database is copied only from one that nobody is connected to. Bites: without TEMPLATE template0."""
    async with server.connected(server.mallory, "template1"):
        await server.ordered()


async def test_no_app_leaves_anything_in_the_databases_of_others(server: Server) -> None:
    """Bites: without TEMPLATE template0."""
    planted = await server.say("CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'", "template1")
    assert planted.returncode == 0, planted.stderr
    order = await server.ordered()
    look = "SELECT count(*) FROM pg_proc WHERE proname = 'planted'"
    assert server.own.say(look, database_of(order.addon_id)) == "0"


async def test_no_app_is_in_a_database_before_the_others_are_shut_out(server: Server) -> None:
    """Whoever is connected stays so, and hears what is notified there. Bites: without ALLOW_CONNECTIONS false."""
    order = new_order()
    words, shut_out, _ = shared_settle_sql(order).partition("REVOKE")
    assert shut_out
    as_admin = [psql(), server.own.url, *OPTIONS]
    await asyncio.to_thread(lambda: subprocess.run(as_admin, input=words, text=True, check=True, capture_output=True))
    entered = await server.say("SELECT 'in'", database_of(order.addon_id))
    assert entered.returncode != 0 and "not currently accepting connections" in entered.stderr
    await server.provider.provision(order)
    assert "permission denied" in (await server.say("SELECT 'in'", database_of(order.addon_id))).stderr


async def test_no_app_s_function_is_called_by_the_one_who_makes_roles(server: Server) -> None:
    """pg_terminate_backend takes a bigint; one of two integers in the schema public fits our words better. Bites:
    without ALONE this role is made a member of the other's."""
    order = await server.ordered()
    body = f"GRANT {role_of(order.addon_id)} TO {role_of(server.mallory.addon_id)}; SELECT true"
    words = f"CREATE FUNCTION public.pg_terminate_backend(int, int) RETURNS boolean LANGUAGE sql AS '{body}'"
    planted = await server.say(words, "postgres")
    assert planted.returncode == 0, planted.stderr
    async with server.connected(order, "postgres"):
        await server.provider.hang_up(order)
    member = f"SELECT pg_has_role('{role_of(server.mallory.addon_id)}', '{role_of(order.addon_id)}', 'USAGE')"
    assert server.own.say(member) == "f"
