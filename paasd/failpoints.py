"""Named points of a deploy at which a fault test has the daemon die, fail or stand still.

Armed by PAASD_FAILPOINTS alone ("swap-after:kill,build:hang"); otherwise they do nothing.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

POINTS: Mapping[str, str] = {
    "receive-pack": "git has been handed the first bytes of the pack",
    "build": "the engine has said the first word of the image's build",
    "built": "the image is there, the ledger does not know of it",
    "release-row": "the release is in the ledger, its first stage is not",
    "release-phase": "the container of the release command runs",
    "container-create": "a dyno's container is made and not yet started",
    "start": "the new dynos are started, none was probed",
    "health": "a new dyno answered its first probe, and is to be asked again",
    "swap-before": "the new dynos are healthy, the router knows nothing of them",
    "swap-after": "the router sends requests to the new dynos, the ledger does not know it",
    "promote": "the ledger has the release as succeeded, and nobody was told",
    "drain": "the old dynos get no new requests, and may have some in flight",
    "retire": "an old dyno is stopped, its container is still there",
}
"""Every point there is, in the order of the story, and what is true there. A push of a second release reaches all."""

ADDON_POINTS: Mapping[str, str] = {
    "addon-row": "the add-on is in the ledger, its provider knows nothing of it",
    "addon-made": "the provider has it up, the ledger says provisioning",
    "addon-provisioned": "the ledger says provisioned, no app was let in",
    "addon-released": "the release with its config vars is recorded",
    "addon-rotated": "the new password is in force, the ledger has it as the next one",
    "addon-going": "its config vars are gone, it still runs",
}
"""Every point of an add-on's life: created, rotated and destroyed, it reaches all."""

ACTIONS = ("kill", "raise", "hang", "tell")


class FailpointReached(Exception):
    """What a point armed to "raise" raises: as unexpected as an error of our own."""


@dataclass(frozen=True, slots=True)
class Failpoints:
    """Which points are armed, and with what. The empty one is the only one outside of tests."""

    armed: Mapping[str, str] = field(default_factory=dict)

    async def reach(self, name: str) -> None:
        """Called at the point: returns, unless it is armed.

        "kill" is SIGKILL to ourselves, "raise" raises FailpointReached, "hang" waits until cancelled, "tell" says on
        stderr that the point was reached and goes on.
        """
        action = self.armed.get(name)
        if action is None:
            return
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "raise":
            raise FailpointReached(name)
        if action == "hang":
            await asyncio.Event().wait()
        sys.stderr.write(f"failpoint {name}\n")


def parse_failpoints(text: str) -> Failpoints:
    """From "swap-after:kill,…". Raises ValueError with a sentence."""
    armed = {}
    for part in text.split(",") if text else ():
        name, _, action = part.strip().partition(":")
        if not name or action not in ACTIONS:
            raise ValueError(f"PAASD_FAILPOINTS holds {part!r}; write NAME:{'|'.join(ACTIONS)}, or unset it.")
        if name not in POINTS and name not in ADDON_POINTS:
            known = ", ".join([*POINTS, *ADDON_POINTS])
            raise ValueError(f"PAASD_FAILPOINTS names {name!r}, which is no point; there are {known}.")
        armed[name] = action
    return Failpoints(armed)
