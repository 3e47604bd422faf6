"""Named points at which a fault test has the daemon die. Armed by PAASD_FAILPOINTS alone; otherwise they do nothing."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

ACTIONS = ("kill",)


@dataclass(frozen=True, slots=True)
class Failpoints:
    """Which points are armed, and with what. The empty one is the only one outside of tests."""

    armed: Mapping[str, str] = field(default_factory=dict)

    def reach(self, name: str) -> None:
        """Called at the point: returns, unless it is armed to "kill", which is SIGKILL to ourselves."""
        if self.armed.get(name) == "kill":
            os.kill(os.getpid(), signal.SIGKILL)


def parse_failpoints(text: str) -> Failpoints:
    """From "before_promote:kill,…". Raises ValueError with a sentence."""
    armed = {}
    for part in text.split(",") if text else ():
        name, _, action = part.strip().partition(":")
        if not name or action not in ACTIONS:
            raise ValueError(f"PAASD_FAILPOINTS holds {part!r}; write NAME:{'|'.join(ACTIONS)}, or unset it.")
        armed[name] = action
    return Failpoints(armed)
