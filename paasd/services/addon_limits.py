"""What add-ons hold beside what their plans are for: told to their apps before it is too much, and each day then.

A plan's disk does not refuse writes: a database that may not write can't be put right by its app either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

import structlog

from paasd.domain.addon import Addon, AddonState, Fullness, fullness
from paasd.domain.errors import PaasError
from paasd.services.addon_work import AddonWork

log = structlog.get_logger(__name__)

MEGABYTE = 1024 * 1024
AGAIN_SECONDS = 86_400.0
WORDS: Mapping[Fullness, str] = {
    Fullness.NEAR: "nearly all that its plan is for",
    Fullness.OVER: "more than its plan is for",
}


@dataclass(slots=True)
class AddonLimits:
    """`said` is what was said last of each, and when (monotonic), by the add-ons' ids."""

    work: AddonWork
    said: dict[str, tuple[Fullness, float]] = field(default_factory=dict)

    async def look(self) -> None:
        """One round over all that are up. One that does not answer is looked at in the next."""
        for addon in await self.work.store.addons():
            if addon.state is AddonState.PROVISIONED and addon.provider in self.work.providers:
                try:
                    await self._look(addon)
                except PaasError as error:
                    log.info("an add-on was not asked what it holds", addon=addon.name, reason=error.message)

    async def _look(self, addon: Addon) -> None:
        order = await self.work.order(addon)
        used, bound = (await self.work.provider(addon).condition(order)).used, order.plan.bound_of(order.kind)
        if used is None or bound is None:
            return
        found, now = fullness(used, bound), monotonic()
        before, at = self.said.get(addon.id, (Fullness.FINE, now))
        if found is Fullness.FINE:
            self.said.pop(addon.id, None)
        elif found is not before or now - at > AGAIN_SECONDS:
            self.said[addon.id] = (found, now)
            amount = f"{used / MEGABYTE:.0f} MB of data, of {bound / MEGABYTE:.0f} MB"
            text = f"{addon.name} ({addon.plan}) has {WORDS[found]}: {amount}; remove some, or `heroku addons:upgrade`"
            for app_id in dict.fromkeys((addon.app_id, *order.apps)):
                self.work.say(app_id, text)
            log.warning("an add-on's data", addon=addon.name, used=used, bound=bound)
