"""A PostgreSQL in a container, spoken to as its superuser: by psql, whose input no argv and no log shows."""

from paasd.adapters.docker_addon_server import SERVER_USER
from paasd.adapters.docker_api import DockerApi
from paasd.adapters.docker_shells import run_exec
from paasd.adapters.postgres_words import (
    condition_of,
    database_of,
    facts_sql,
    hang_up_sql,
    reset_sql,
    role_of,
    rotate_sql,
    settle_sql,
)
from paasd.ports import Access, Condition, Order

SOCKET = "/run/postgresql"
PSQL = f"exec psql -h {SOCKET} -U postgres -d postgres -qAtX -v ON_ERROR_STOP=1"
READY = f"until pg_isready -q -h {SOCKET} -U postgres; do sleep 0.02; done; {PSQL}"


class PostgresServer:
    """What is asked of one, by its container."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api

    def access(self, order: Order, host: str) -> Access:
        """At that address."""
        user, database = role_of(order.addon_id), database_of(order.addon_id)
        return Access(host, 5432, user, database, f"postgres://{user}:{order.secret}@{host}:5432/{database}")

    def environment(self, order: Order) -> dict[str, str]:
        """For a client beside the server."""
        return {
            "PGHOST": SOCKET,
            "PGUSER": role_of(order.addon_id),
            "PGDATABASE": database_of(order.addon_id),
            "PGPASSWORD": order.secret,
            "PSQL_HISTORY": "/dev/null",
            "HOME": "/tmp",  # noqa: S108 (the container's own)
        }

    async def settle(self, container: str, order: Order) -> None:
        """Waits until it answers; then its user and database are there, with that password."""
        await self._ask(container, settle_sql(order), READY)

    async def rotate(self, container: str, order: Order) -> None:
        """The password, then the connections of the one before."""
        await self._ask(container, rotate_sql(order))

    async def hang_up(self, container: str, order: Order) -> None:
        """Of its user, in all databases."""
        await self._ask(container, hang_up_sql(order))

    async def reset(self, container: str, order: Order) -> None:
        """Another database of the same name."""
        await self._ask(container, reset_sql(order))

    async def condition(self, container: str, order: Order) -> Condition:
        """From its own tables."""
        said = await self._ask(container, facts_sql(order))
        return condition_of(said, order)

    async def _ask(self, container: str, sql: str, how: str = PSQL) -> str:
        return await run_exec(self._api, container, ["sh", "-ec", how], sql, user=SERVER_USER)
