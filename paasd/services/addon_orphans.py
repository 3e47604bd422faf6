"""Data of add-ons that no row of the ledger knows: an older one was restored. Said, never removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from paasd.domain.errors import PaasError
from paasd.services.addon_work import AddonWork

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AddonOrphans:
    """`said` is what was said last, by provider."""

    work: AddonWork
    said: dict[str, frozenset[str]] = field(default_factory=dict)

    async def look(self) -> None:
        """Say what is new. A provider that does not answer is asked in a later round."""
        for name, ids in (await self.find()).items():
            if ids - self.said.get(name, frozenset()):
                log.warning(
                    "data of add-ons that the ledger does not know is kept; see `paasd doctor`",
                    provider=name,
                    addons=sorted(ids),
                )
            self.said[name] = ids

    async def find(self) -> Mapping[str, frozenset[str]]:
        """The ids of these, by provider, of those that answer."""
        found = {}
        for name, provider in self.work.providers.items():
            try:
                kept = set(await provider.kept())
                kept -= {one.id for one in await self.work.store.addons()}
                # Asked once more: what was purged meanwhile is in neither.
                found[name] = frozenset(kept & set(await provider.kept()) if kept else kept)
            except PaasError as error:
                log.info("a provider was not asked what it keeps", provider=name, reason=error.message)
        return found
