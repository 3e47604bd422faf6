"""Port Store on SQLite: every acknowledged write is on the disk, and config vars are there only under seal."""

import asyncio
from pathlib import Path

from sqlalchemy import select

from paasd.adapters.database import BUSY_SECONDS, Database
from paasd.adapters.migrate import newer_message, schema_version
from paasd.adapters.secrets import ConfigSeal, create_key, read_key
from paasd.adapters.store_access import AccessTables
from paasd.adapters.store_addons import AddonTables
from paasd.adapters.store_apps import AppTables
from paasd.adapters.store_audit import AuditTables
from paasd.adapters.store_domains import DomainTables
from paasd.adapters.store_drains import DrainTables
from paasd.adapters.store_releases import ReleaseTables
from paasd.adapters.store_requests import RequestTables
from paasd.adapters.store_transfers import TransferTables
from paasd.adapters.store_upkeep import UpkeepTables
from paasd.adapters.store_webhooks import WebhookTables
from paasd.adapters.tables import releases
from paasd.adapters.token_cache import TokenCache
from paasd.domain.errors import StoreUnavailable
from paasd.migrations import HEAD


class SqlStore(
    AccessTables,
    AppTables,
    DomainTables,
    UpkeepTables,
    ReleaseTables,
    AuditTables,
    WebhookTables,
    DrainTables,
    AddonTables,
    TransferTables,
    RequestTables,
):
    """A database that `migrate` has brought up to date, and the key its config vars are sealed with.

    Open it with `async with`; all methods raise StoreUnavailable. Any number of tasks may use it at once.
    """

    def __init__(self, path: Path, key_file: Path, *, busy_timeout: float = BUSY_SECONDS) -> None:
        """`busy_timeout`: seconds that a write waits while another process writes."""
        self._key_file = key_file
        self._database = Database(path, busy_timeout=busy_timeout)
        self._known = TokenCache()

    async def __aenter__(self) -> "SqlStore":
        """StoreUnavailable when the schema is not ours, or the key not the one that was used before.

        The key file is made when there is none and nothing was sealed yet.
        """
        try:
            await self._check_schema()
            self._seal = await self._find_key()
        except BaseException:
            await self._database.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._database.close()

    async def _check_schema(self) -> None:
        version = await asyncio.to_thread(schema_version, self._database.path)
        if version is not None and version > HEAD:
            raise StoreUnavailable(newer_message(self._database.path, version))
        if version != HEAD:
            raise StoreUnavailable(
                f"The database {self._database.path} is at schema {version or 'none'}, and {HEAD} is needed; "
                "start the daemon (`paasd serve`), which upgrades it."
            )

    async def _find_key(self) -> ConfigSeal:
        async with self._database.read() as connection:
            sealed = (await connection.execute(select(releases.c.app_id, releases.c.config).limit(1))).first()
        key = read_key(self._key_file)
        if key is None and sealed is not None:
            raise StoreUnavailable(
                f"The key file {self._key_file} is missing, and config vars are sealed with it; "
                "put it back from a backup."
            )
        seal = ConfigSeal(key or create_key(self._key_file), self._key_file)
        if sealed is not None:
            seal.open(sealed.config, sealed.app_id)
        return seal
