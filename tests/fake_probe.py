"""The probe, in memory: what a fake engine's dynos answer."""

from paasd.ports import ProbeResult
from tests.fakes import FakeEngine


class FakeProbe:
    """Asks the fake engine's dynos."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    async def check(
        self, address: str, port: int, path: str | None, content: str | None = None, *, timeout: float | None = None
    ) -> ProbeResult:
        await self._engine.gates.at("probe")
        self._engine.probed.append(path)
        self._engine.timeouts.append(timeout)
        if self._engine.refusals and self._engine.refusals.pop(0):
            return ProbeResult(False, "connection refused")
        return self._engine.answer(address, port, path)

    async def answers(self, address: str, port: int) -> bool:
        return True
