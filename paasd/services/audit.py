"""The audit: who wrote what, when and from where. Appended to, never changed."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.audit import Entry, NewEntry
from paasd.ports import Store

PAGE = 100
PAGE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Audit:
    """Append, and read from the newest on."""

    store: Store

    async def record(self, entry: NewEntry) -> None:
        """On the disk when this returns. Raises StoreUnavailable."""
        await self.store.add_audit(entry)

    async def push(self, app: App, actor: Actor) -> None:
        """Somebody pushes to the app. What becomes of it is the build's record, and the release's."""
        now = datetime.now(UTC)
        entry = NewEntry(now, actor, "PUSH", f"/{app.name}.git", 200, str(uuid.uuid4()), app.id, app.name, {})
        await self.store.add_audit(entry)

    async def entries(
        self, *, app_id: str | None = None, limit: int = PAGE, before: int | None = None
    ) -> Sequence[Entry]:
        """Newest first; at most PAGE_MAX at once."""
        return await self.store.audit(app_id=app_id, limit=min(limit, PAGE_MAX), before=before)
