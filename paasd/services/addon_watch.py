"""Add-ons whose servers end are started again at once, where their provider tells of it; the rounds do the rest."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from time import monotonic

import structlog

from paasd.domain.addon import AddonState
from paasd.domain.errors import NotFound, PaasError, Unavailable
from paasd.ports import Watched
from paasd.services.addon_work import AddonWork
from paasd.services.background import attempt

log = structlog.get_logger(__name__)

REMEMBERED = 8  # endings of one add-on


@dataclass(frozen=True, slots=True)
class WatchRules:
    """Seconds: between two asks for a provider's word; for how long an ending counts; and the longest wait before a
    server that ends again and again is started again."""

    retry: float = 2.0
    counted: float = 120.0
    longest: float = 30.0

    def delay(self, endings: int) -> float:
        """Before the start after this many endings: none at first, then 1, 2, 4, … seconds."""
        return 0.0 if endings <= 1 else min(2.0 ** (endings - 2), self.longest)


@dataclass(slots=True)
class AddonWatch:
    """`endings` are the last of each add-on (monotonic) that were not our doing, by its id; `waiting` are those whose
    start is due."""

    work: AddonWork
    rules: WatchRules = field(default_factory=WatchRules)
    endings: dict[str, deque[float]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """A task for each provider that tells."""
        for name, provider in self.work.providers.items():
            if isinstance(provider, Watched):
                self.work.background.spawn(f"watch add-ons ({name})", self.watch(name, provider))

    async def watch(self, name: str, provider: Watched) -> None:
        """For ever; a provider that went away is asked again, and all are looked at once it is back."""
        said = ""  # once, however long it stays away
        while True:
            try:
                async for addon_id in provider.endings():
                    said = ""
                    if addon_id is None:
                        await attempt("add-ons", self.work.mend())
                    elif addon_id not in self.waiting:
                        self.waiting.add(addon_id)
                        start = self._start(addon_id, ours=self._being_changed(addon_id))
                        self.work.background.spawn(f"start add-on {addon_id}", start)
            except Unavailable as error:
                if error.message != said:
                    log.warning("events of add-ons lost", provider=name, reason=error.message)
                said = error.message
            except Exception:
                log.exception("events of add-ons lost", provider=name)
            await asyncio.sleep(self.rules.retry)

    def _being_changed(self, addon_id: str) -> bool:
        """Whether it may be ourselves that ended it. One that ends while it is only mended did not stay up."""
        return self.work.background.lock(addon_id).locked() and addon_id not in self.work.mending

    async def _start(self, addon_id: str, *, ours: bool) -> None:
        try:
            if not ours and await self._is_to_be_up(addon_id):
                await asyncio.sleep(self._delay(addon_id))
        finally:
            self.waiting.discard(addon_id)  # it may end again while it is being started
        await attempt(f"start add-on {addon_id}", self._mend(addon_id))

    async def _is_to_be_up(self, addon_id: str) -> bool:
        try:
            return (await self.work.store.addon(addon_id)).state is AddonState.PROVISIONED
        except PaasError:
            return False  # gone, or it is seen when it is to be mended

    async def _mend(self, addon_id: str) -> None:
        try:
            await self.work.mend_one(addon_id)
            await self.work.go_on(addon_id)
        except NotFound:
            self.endings.pop(addon_id, None)

    def _delay(self, addon_id: str) -> float:
        now = monotonic()
        known = self.endings.setdefault(addon_id, deque(maxlen=REMEMBERED))
        known.append(now)
        return self.rules.delay(sum(1 for at in known if now - at < self.rules.counted))
