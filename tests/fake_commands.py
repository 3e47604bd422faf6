"""What a fake engine's dynos do, by their command."""

from collections.abc import Mapping
from dataclasses import dataclass

from paasd.domain.dyno import Exit

ANYWHERE = "0.0.0.0"
TERMINATED = Exit(143, signal=15)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a command does: print, listen, and end or go on. `$NAME` in `prints` is the dyno's environment's.

    `listens` are addresses and ports, None for $PORT. `ends` None: until it is told to. `status` is its HTTP answer.
    """

    prints: tuple[bytes, ...] = ()
    listens: tuple[tuple[str, int | None], ...] = ()
    ends: Exit | None = None
    heeds_sigterm: bool = True
    ends_with: Exit = TERMINATED  # at SIGTERM
    status: int = 200
    starts: bool = True


SERVES = Behaviour(prints=(b"listening on $PORT\n",), listens=((ANYWHERE, None),))

# Commands that say what they do. One that is not here serves.
COMMANDS: Mapping[str, Behaviour] = {
    "crash": Behaviour(prints=(b"Traceback: no module named app\n",), ends=Exit(1)),
    "oom": Behaviour(ends=Exit(137, signal=9, oom=True)),
    "finish": Behaviour(prints=(b"done\n",), ends=Exit(0)),
    "migrate": Behaviour(prints=(b"Applying 0001_initial... ", b"OK\r\n\xff", b"no newline"), ends=Exit(0)),
    "fail": Behaviour(prints=(b"Applying 0002... ", b"no such table\n"), ends=Exit(3)),
    "hang": Behaviour(prints=(b"waiting for a lock\n",)),
    "never-bind": Behaviour(prints=(b"thinking\n",)),
    "bind-loopback": Behaviour(listens=(("127.0.0.1", None),)),
    "bind-ipv6": Behaviour(listens=(("::", None),)),
    "wrong-port": Behaviour(listens=((ANYWHERE, 8000),)),
    "sick": Behaviour(listens=((ANYWHERE, None),), status=500),
    "unstartable": Behaviour(starts=False),
}
