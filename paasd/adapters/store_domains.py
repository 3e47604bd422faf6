"""The part of the store that knows apps' own host names."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from paasd.adapters.database import Database
from paasd.adapters.store_apps import require_app
from paasd.adapters.tables import apps, domains
from paasd.domain.errors import InvalidParams
from paasd.domain.hostname import WILDCARD, Domain, wildcards_over


class DomainTables:
    """Port Store: host names."""

    _database: Database

    async def insert_domain(self, domain: Domain) -> None:
        """NotFound without the app; InvalidParams when it is taken, or a wildcard of another owner stands in the way,
        or would stand in another owner's."""
        async with self._database.write() as connection:
            await require_app(connection, domain.app_id)
            await _require_free(connection, domain)
            await connection.execute(
                insert(domains).values(
                    id=domain.id,
                    app_id=domain.app_id,
                    hostname=domain.hostname,
                    created_at=domain.created_at,
                    updated_at=domain.updated_at,
                )
            )

    async def domains(self, app_id: str) -> Sequence[Domain]:
        """By name."""
        query = select(domains).where(domains.c.app_id == app_id).order_by(domains.c.hostname)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [Domain(row.id, row.app_id, row.hostname, row.created_at, row.updated_at) for row in rows]

    async def delete_domain(self, domain_id: str) -> None:
        """Absent: fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(domains).where(domains.c.id == domain_id))


async def _require_free(connection: AsyncConnection, domain: Domain) -> None:
    hostname = domain.hostname
    taken = await connection.scalar(select(domains.c.app_id).where(domains.c.hostname == hostname))
    if taken == domain.app_id:
        raise InvalidParams(f"{hostname} is added to this app already; there is nothing to do.", resource="domain")
    if taken is not None:
        raise InvalidParams(
            f"{hostname} is currently in use by another app; remove it there, or choose another.", resource="domain"
        )
    near: ColumnElement[bool] = domains.c.hostname.in_(wildcards_over(hostname))
    if hostname.startswith(WILDCARD):
        near = or_(near, domains.c.hostname.endswith(hostname.removeprefix("*"), autoescape=True))
    owner = select(apps.c.owner_id).where(apps.c.id == domain.app_id).scalar_subquery()
    foreign = select(domains.c.hostname).join(apps, apps.c.id == domains.c.app_id)
    if await connection.scalar(foreign.where(and_(near, apps.c.owner_id != owner)).limit(1)) is not None:
        raise InvalidParams(
            f"{hostname} overlaps with a domain of another owner's app; ask them to remove theirs, or choose another.",
            resource="domain",
        )
