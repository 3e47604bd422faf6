"""Work that outlives the call that began it: owned tasks, one lock per app. The only caller of asyncio.create_task."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from paasd.domain.errors import PaasError

T = TypeVar("T")
U = TypeVar("U")

log = structlog.get_logger(__name__)


async def together(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Both at once. The first to fail cancels the other, which has ended when the error, as it is, comes out."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = group.create_task(one), group.create_task(other)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tasks[0].result(), tasks[1].result()


async def attempt(what: str, work: Coroutine[Any, Any, object]) -> None:
    """What is away now is back in some later round; a fault of our own is logged, and mends nothing else."""
    try:
        await work
    except PaasError as error:
        log.warning("left to the next round", part=what, reason=error.message)
    except Exception:
        log.exception("left to the next round", part=what)


async def every(seconds: float, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """For ever, so long after the end of the last time: by the monotonic clock, which no setting of the time moves."""
    while True:
        await asyncio.sleep(seconds)
        await attempt(what, work())


async def stirred(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for it, so long at most (None: for ever); whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Background:
    """Owns tasks until they end. A task's unexpected error is logged once, here; close() ends what is left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    def spawn(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work`; whoever awaits the task sees its result or error."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, PaasError):
            log.error("task failed", task=task.get_name(), exc_info=error)

    async def finish(self, name: str, work: Coroutine[Any, Any, T], *, deliver: bool = True) -> T:
        """Carry `work` to its end though the caller be cancelled: for a commit there is no half way.

        A cancellation that came meanwhile reaches the caller at its next await; with `deliver` false it came too late.
        """
        # Not among the tasks that close() cancels: whoever began it waits for it here.
        task = asyncio.create_task(work, name=name)
        cancelled = False
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                cancelled = True
        if cancelled and deliver and (caller := asyncio.current_task()) is not None:
            caller.cancel()
        return task.result()

    def lock(self, app_id: str) -> asyncio.Lock:
        """The lock of one app's releases: held from the recording of a release until it is served or failed."""
        return self._locks.setdefault(app_id, asyncio.Lock())

    def forget(self, app_id: str) -> None:
        """Drop a destroyed app's lock."""
        self._locks.pop(app_id, None)

    async def close(self) -> None:
        """Cancel all tasks and wait until each has cleaned up after itself."""
        while tasks := [task for task in self._tasks if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
