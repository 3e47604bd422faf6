"""What all requests share: the table, the connections to apps, the counts, the limits; and which target is next."""

import random
from collections.abc import Collection
from dataclasses import dataclass, field

from router.inflight import Address, InFlight
from router.silence import Silences
from router.state import TableInForce
from router.table import Target
from router.upstream import Upstreams


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect, to the answer's first byte, of silence after it; and that a request waits for a dyno."""

    connect: float = 5.0
    first_byte: float = 30.0
    idle: float = 55.0
    park: float = 10.0


@dataclass(frozen=True, slots=True)
class Fabric:
    """What exchanges share."""

    table: TableInForce
    upstreams: Upstreams
    in_flight: InFlight
    limits: Limits
    silences: Silences = field(default_factory=Silences)

    def choose(self, targets: tuple[Target, ...], refused: Collection[Address] = ()) -> Target | None:
        """A target that has not `refused`, not set aside unless all are: of two at random, the less busy one."""
        if len(targets) == 1 and not refused:
            return targets[0]
        left = [target for target in targets if (target.host, target.port) not in refused]
        if self.upstreams.any_aside:
            left = [each for each in left if not self.upstreams.aside((each.host, each.port))] or left
        if len(left) < 2:
            return left[0] if left else None
        one, other = random.sample(left, 2)
        busier = self.in_flight.on((one.host, one.port)) > self.in_flight.on((other.host, other.port))
        return other if busier else one
