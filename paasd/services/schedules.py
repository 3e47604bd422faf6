"""Daily backups: asked for by the hour and the zone, taken by whichever round comes first after it."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from paasd.domain.addon import Addon
from paasd.domain.errors import NotFound
from paasd.domain.transfer import Schedule, check_time, due, newest_day
from paasd.ports.store_transfers import TransferStore
from paasd.services.background import attempt
from paasd.services.transfers import Transfers

log = structlog.get_logger(__name__)

FindAddon = Callable[[str], Awaitable[Addon]]


@dataclass(frozen=True, slots=True)
class Schedules:
    """Use cases on schedules. `addon` finds one by its id; NotFound."""

    store: TransferStore
    transfers: Transfers
    addon: FindAddon

    async def of(self, app_id: str) -> Sequence[Schedule]:
        """Of an app's add-ons, oldest first."""
        return [one for one in await self.store.schedules() if one.app_id == app_id]

    async def put(self, addon: Addon, name: str, hour: object, timezone: object) -> Schedule:
        """In the place of the add-on's own before; the first backup is taken at its next hour. InvalidParams."""
        at, zone = check_time(hour, timezone)
        now = datetime.now(UTC)
        last = newest_day(at, zone, now)
        return await self.store.put_schedule(
            Schedule(str(uuid.uuid4()), addon.app_id, addon.id, name, at, zone, last, now)
        )

    async def delete(self, addon: Addon, schedule_id: str) -> Schedule:
        """NotFound."""
        for one in await self.store.schedules():
            if one.addon_id == addon.id and schedule_id == one.id:
                await self.store.delete_schedule(one.id)
                return one
        raise NotFound("Couldn't find that schedule; `heroku pg:backups:schedules` lists them.", resource="schedule")

    async def run_due(self, now: datetime | None = None) -> None:
        """Begin the backups whose hour has come. One that can't begin is tried again in the next round."""
        for schedule in await self.store.schedules():
            found = due(schedule, now or datetime.now(UTC))
            if found.run:
                await attempt(f"the backup of {schedule.name}", self._run(schedule))
            elif found.last != schedule.last:
                await self.store.move_schedule(schedule.id, found.last)

    async def _run(self, schedule: Schedule) -> None:
        try:
            addon = await self.addon(schedule.addon_id)
        except NotFound:
            await self.store.delete_schedule(schedule.id)
            log.info("a schedule went with its database", schedule=schedule.name, app=schedule.app_id)
            return
        await self.transfers.capture(addon, schedule)
