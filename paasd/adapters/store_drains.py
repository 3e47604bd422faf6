"""The part of the store that keeps log drains. Their URLs may hold passwords, and are there only under seal."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, update

from paasd.adapters.database import Database
from paasd.adapters.rows import AnyRow, belonging
from paasd.adapters.secrets import ConfigSeal
from paasd.adapters.store_apps import require_app
from paasd.adapters.tables import log_drains
from paasd.domain.drain import Drain


class DrainTables:
    """Port Store: log drains."""

    _database: Database
    _seal: ConfigSeal

    async def insert_drain(self, drain: Drain) -> None:
        """NotFound without the app."""
        async with self._database.write() as connection:
            await require_app(connection, drain.app_id)
            await connection.execute(
                insert(log_drains).values(
                    id=drain.id,
                    app_id=drain.app_id,
                    token=drain.token,
                    sealed=self._seal.seal({"url": drain.url}, drain.app_id),
                    position=drain.position,
                    created_at=drain.created_at,
                    updated_at=drain.updated_at,
                )
            )

    async def drains(self, app_id: str | None = None) -> Sequence[Drain]:
        """Of an app, or all; oldest first."""
        async with self._database.read() as connection:
            return [self._to_drain(row) for row in await connection.execute(belonging(log_drains, app_id))]

    async def move_drains(self, positions: Mapping[str, int]) -> None:
        """How far each, by its id, has got; in one transaction. Absent: fine."""
        async with self._database.write() as connection:
            for drain_id, position in positions.items():
                changed = update(log_drains).where(log_drains.c.id == drain_id)
                await connection.execute(changed.values(position=position))

    async def delete_drain(self, drain_id: str) -> None:
        """Absent: fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(log_drains).where(log_drains.c.id == drain_id))

    def _to_drain(self, row: AnyRow) -> Drain:
        url = self._seal.open(row.sealed, row.app_id)["url"]
        return Drain(row.id, row.app_id, row.token, url, row.position, row.created_at, row.updated_at)
