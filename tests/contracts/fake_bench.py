"""The fake engine on the bench: it knows the suite's commands by heart, and has to keep the contract as others do."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from paasd.domain.dyno import DynoSpec, Exit
from tests.contracts import engines
from tests.fake_commands import SERVES, Behaviour
from tests.fakes import FakeEngine

COMMANDS = {
    engines.SERVE: SERVES,
    engines.SLEEP: Behaviour(),
    engines.TELLS: Behaviour((b"ready\n",)),
    engines.STUBBORN: Behaviour((b"ready\n",), heeds_sigterm=False),
    engines.UNHURRIED: Behaviour((b"ready\n",), ends_with=Exit(7)),
    engines.FAIL: Behaviour((b"broken\n",), ends=Exit(3)),
    engines.BINARY: Behaviour((b"\x00\xff\r\nend without newline",), ends=Exit(0)),
    engines.MANY: Behaviour(tuple(b"%d\n" % number for number in range(1, 3001)), ends=Exit(0)),
    engines.COUNT: Behaviour((b"line 1\n", b"line 2\n", b"line 3\n"), ends=Exit(0)),
    f"{engines.GREET}; {engines.FAIL}": Behaviour((b"hello $NAME\n", b"port $PORT\nbroken\n"), ends=Exit(3)),
}


@asynccontextmanager
async def fake_bench() -> AsyncIterator["engines.Bench"]:
    """A fake engine that has the stack image, with an app's network."""
    app = str(uuid.uuid4())
    async with FakeEngine(COMMANDS, images=[engines.STACK]) as engine:
        await engine.create_network(app)

        async def make(spec: DynoSpec) -> None:
            engine.make(spec)

        yield engines.Bench(engine, engines.STACK, app, "fake", make)
