"""One timer for all that may fall silent."""

import asyncio

from router.silence import Silences


class Line:
    def __init__(self, silences: Silences, idle_timeout: float) -> None:
        self._silences = silences
        self.idle_timeout = idle_timeout
        self.heard = asyncio.get_running_loop().time()
        self.ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def fell_silent(self) -> None:
        self._silences.forget(self)
        self.ended.set_result(asyncio.get_running_loop().time())


async def test_each_is_ended_in_its_own_time() -> None:
    """Bites: let `_arm` keep the later of two times, or `_look` not arm again."""
    silences = Silences()
    long, short = Line(silences, 0.6), Line(silences, 0.1)
    for line in (long, short):
        silences.watch(line)
    async with asyncio.timeout(10):
        lasted = [await line.ended - line.heard for line in (short, long)]
    assert lasted[0] >= 0.1
    assert lasted[1] >= 0.6


async def test_what_is_heard_goes_on() -> None:
    """Bites: end in `_look` whatever it looks at."""
    silences = Silences()
    talking, silent = Line(silences, 0.3), Line(silences, 0.2)
    for line in (talking, silent):
        silences.watch(line)
    async with asyncio.timeout(10):
        while not silent.ended.done():
            talking.heard = asyncio.get_running_loop().time()
            await asyncio.sleep(0.01)
        assert not talking.ended.done()
        assert await talking.ended >= talking.heard + 0.3


async def test_nothing_is_looked_at_when_there_is_nothing() -> None:
    """Bites: leave the timer in `forget`."""
    silences = Silences()
    line = Line(silences, 30)
    silences.watch(line)
    timer = silences._timer
    silences.forget(line)
    silences.forget(line)
    assert timer is not None
    assert timer.cancelled()
    assert silences._timer is None
