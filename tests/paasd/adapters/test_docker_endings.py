"""Stopping a container, as the engine may answer it. The rest is Docker's own: tests/contracts."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from paasd.adapters.docker_api import DockerApi, Refused
from paasd.adapters.docker_endings import Endings
from paasd.domain.dyno import Exit
from paasd.failpoints import Failpoints

EXITED = {"State": {"Status": "exited", "ExitCode": 137, "OOMKilled": False}}


class Engine:
    """Refuses what it is told to, and notes what it is asked."""

    def __init__(self, stop: int = 0, remove: int = 0, words: str = "") -> None:
        self.statuses = {"stop": stop, "remove": remove}
        self.words = words
        self.asked: list[str] = []

    async def post(self, path: str, **_: object) -> None:
        self.answer("stop")

    async def call(self, name: str, *_: object, **__: object) -> None:
        self.answer("remove")

    def answer(self, what: str) -> None:
        self.asked.append(what)
        if status := self.statuses[what]:
            raise Refused(status, self.words)


@pytest.mark.parametrize(
    ("engine", "container", "how", "asked"),
    [
        (Engine(), EXITED, Exit(137, signal=9), ["stop", "remove"]),
        (Engine(stop=404), None, None, ["stop"]),
        (Engine(stop=500), EXITED, Exit(137, signal=9), ["stop", "remove"]),  # it is removed by force then
        (Engine(), None, None, ["stop", "remove"]),  # somebody was quicker
        (Engine(remove=409, words="removal is already in progress"), None, None, ["stop", "remove"]),
        (Engine(), {"State": {"Status": "running"}}, None, ["stop", "remove"]),
    ],
)
async def test_a_stop_tells_how_it_ended_if_that_is_known(
    engine: Engine, container: Mapping[str, Any] | None, how: Exit | None, asked: list[str]
) -> None:
    async def find(_: str) -> Mapping[str, Any] | None:
        return container

    endings = Endings(cast(DockerApi, engine), find, Failpoints())
    assert await endings.stop("shop.web.1", 1.0) == how
    assert engine.asked == asked


async def test_what_can_not_be_removed_is_said() -> None:
    async def find(_: str) -> None:
        return None

    endings = Endings(cast(DockerApi, Engine(remove=500, words="busy")), find, Failpoints())
    with pytest.raises(Refused):
        await endings.stop("shop.web.1", 1.0)
