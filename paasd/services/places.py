"""Who deploys to an app: one at a time, others wait for it in order if they are to, and anybody may be cancelled."""

import asyncio
import contextlib
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import BuildFailed, Conflict
from paasd.ports import Write

QUEUED_MAX = 10  # pushes that wait for one app


@dataclass(slots=True)
class Holder:
    """Who deploys to an app, since when, and how far it is. `cancelled_by` is who ended its build, if somebody did."""

    actor: Actor
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    stage: str = "receiving"
    cancelled_by: str | None = None
    waited: bool = False
    before: str | None = None  # the commit that the push it waited for has deployed
    served: str | None = None
    work: "asyncio.Task[object] | None" = field(default_factory=asyncio.current_task)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def describe(self, app: App) -> str:
        """Who, since when, at which stage."""
        return (
            f"{self.actor.email} has been pushing to {app.name} since {self.since:%H:%M:%S} UTC (stage: {self.stage})"
        )


class Places:
    """The place of each app, and the queue for it."""

    def __init__(self, *, queue: bool) -> None:
        self._queue = queue
        self._holders: dict[str, Holder] = {}
        # by app: those that wait, first come first served
        self._queues: dict[str, deque[asyncio.Future[str | None]]] = {}
        self._building: dict[str, Holder] = {}  # by build

    def taken(self, app_id: str) -> bool:
        """Whether somebody deploys to the app."""
        return app_id in self._holders

    def admit(self, app: App, *, queue: bool) -> None:
        """Raises Conflict when another deploys to the app and one is not to wait, or too many do."""
        other = self._holders.get(app.id)
        if other is None:
            return
        if not queue and not self._queue:
            raise Conflict(
                f"{other.describe(app)}; wait for that push to end, then push again, "
                "or have it wait: `git push -o queue`.",
                app=app.name,
            )
        if len(self._queues.get(app.id, ())) >= QUEUED_MAX:
            raise Conflict(f"{QUEUED_MAX} pushes to {app.name} are waiting already; push again later.", app=app.name)

    @contextlib.asynccontextmanager
    async def hold(self, app: App, holder: Holder, output: Write, *, queue: bool) -> AsyncIterator[None]:
        """Be the one that deploys to the app. One that is cancelled by somebody fails, rather than end cancelled.

        Raises Conflict as `admit`.
        """
        try:
            self.admit(app, queue=queue)
            if (other := self._holders.get(app.id)) is not None:
                holder.before = await self._wait(app, other, output)
                holder.waited = True
            self._holders[app.id] = holder
            try:
                yield
            finally:
                self._hand_over(app.id, holder.served)
                holder.ended.set()
        except asyncio.CancelledError:
            if holder.cancelled_by is None:
                raise
            while holder.work is not None and holder.work.uncancel():
                pass  # it was asked for, and is told as a result
            raise BuildFailed(f"Build cancelled by {holder.cancelled_by}; push again to begin another.") from None

    @contextlib.contextmanager
    def building(self, build_id: str, holder: Holder) -> Iterator[None]:
        """Within, the build can be cancelled. Set `holder.ended` when it was not its turn yet, and it is over."""
        self._building[build_id] = holder
        try:
            yield
        finally:
            del self._building[build_id]

    async def cancel(self, actor: Actor, build_id: str) -> bool:
        """Stop what makes this build; returns once it has ended. False where nothing does."""
        holder = self._building.get(build_id)
        if holder is None or holder.work is None:
            return False
        holder.cancelled_by = holder.cancelled_by or actor.email
        holder.work.cancel()
        await holder.ended.wait()
        return True

    async def _wait(self, app: App, other: Holder, output: Write) -> str | None:
        """Until it is this one's turn; what the one before it deployed. Its place is gone when it stops waiting."""
        queue = self._queues.setdefault(app.id, deque())
        place: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        before = len(queue) - 1
        try:
            also = f", and {before} before this one" if before else ""
            await output(f"-----> Waiting: {other.describe(app)}{also}\n".encode())
            return await place
        except BaseException:
            if place in queue:
                queue.remove(place)
            if place.done() and not place.cancelled():
                self._hand_over(app.id, place.result())  # the turn came, but the pusher had gone
            raise

    def _hand_over(self, app_id: str, served: str | None) -> None:
        """To the first that waits. The place stays taken until that one takes it, so that nobody comes between."""
        queue = self._queues.get(app_id)
        while queue:
            place = queue.popleft()
            if not place.done():
                place.set_result(served)
                return
        self._queues.pop(app_id, None)
        self._holders.pop(app_id, None)


class Room:
    """Where so many may be at once. Of those that wait, one of the account with the fewest in it is next, of such the
    one that was let in longest ago: who has much to do holds up nobody else for longer than one of it takes."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._inside: Counter[str] = Counter()
        self._last: dict[str, int] = {}  # by account: when one of it was let in
        self._times = itertools.count(1)
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @contextlib.asynccontextmanager
    async def place(self, account_id: str) -> AsyncIterator[None]:
        """One of it, once there is one."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (account_id, turn)
        self._waiting.append(entry)
        self._let_in()
        try:
            await turn
            yield
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self._free += 1
                self._inside -= Counter([account_id])
                self._let_in()

    def _let_in(self) -> None:
        while self._free and self._waiting:
            entry = min(self._waiting, key=lambda one: (self._inside[one[0]], self._last.get(one[0], 0)))
            self._waiting.remove(entry)
            self._free -= 1
            self._inside[entry[0]] += 1
            self._last[entry[0]] = next(self._times)
            if not entry[1].done():
                entry[1].set_result(None)
