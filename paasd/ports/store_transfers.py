"""The part of port Store that keeps transfers of data, their logs, and the schedules of backups."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from paasd.domain.transfer import Schedule, Transfer, TransferLine


class TransferStore(Protocol):
    """Every method raises StoreUnavailable."""

    async def insert_transfer(self, transfer: Transfer, schedule_day: date | None = None) -> Transfer:
        """As it is kept: under the app's next number. With `schedule_day` its schedule has dealt with that day, in the
        same transaction. NotFound without the app, or where its schedule is gone."""

    async def update_transfer(self, transfer: Transfer) -> None:
        """All that changes; absent: fine."""

    async def delete_transfer(self, transfer_id: str, at: datetime) -> None:
        """It is not listed any more; its number stays taken."""

    async def transfers(self, app_id: str | None = None) -> Sequence[Transfer]:
        """Of an app, or all; newest first."""

    async def add_transfer_lines(self, transfer_id: str, lines: Sequence[TransferLine]) -> None: ...

    async def transfer_lines(self, transfer_id: str) -> Sequence[TransferLine]:
        """Oldest first."""

    async def put_schedule(self, schedule: Schedule) -> Schedule:
        """Instead of the one that the add-on had, whose id it then keeps. NotFound without the app."""

    async def schedules(self) -> Sequence[Schedule]:
        """Oldest first."""

    async def move_schedule(self, schedule_id: str, last: date) -> None:
        """Absent: fine."""

    async def delete_schedule(self, schedule_id: str) -> None:
        """Absent: fine."""
