"""Points in the fakes where a test can stop a call, look, cancel it, or make it fail."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Gate:
    """A call that stops where a test can look: `reached` when it is there, and it goes on once `opened`."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Gates:
    """Calls by name that wait, or fail, when a test says so."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}
        self._held: list[Gate] = []
        self.errors: dict[str, Exception] = {}

    def hold(self, call: str) -> Gate:
        """The next call of this name waits until the gate is opened; those after it don't."""
        gate = self._gates[call] = Gate()
        self._held.append(gate)
        return gate

    def open_all(self) -> None:
        """Let everything go on that was held."""
        self._gates.clear()
        for gate in self._held:
            gate.opened.set()

    async def at(self, call: str) -> None:
        """A call is here."""
        if gate := self._gates.pop(call, None):
            gate.reached.set()
            await gate.opened.wait()
        if error := self.errors.get(call):
            raise error
