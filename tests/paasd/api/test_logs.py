"""Log sessions: events for the CLI, lines for everybody else."""

import asyncio
from typing import Any

import pytest

from paasd.domain.access import Permission
from paasd.domain.app import App
from tests.paasd.api.people import person, share
from tests.paasd.api.world import DEADLINE, World

BAD = [
    {"lines": -1},
    {"lines": "many"},
    {"lines": True},
    {"tail": "x"},
    {"dyno": 1},
    {"since": "yesterday"},
    {"since": "2026-11-23T06:00:00"},
    {"release": "four"},
    {"grep": 1},
]
EVENTS = {"Accept": "text/event-stream"}


async def session(world: World, body: dict[str, Any]) -> str:
    answer = await world.call("POST", "/apps/shop/log-sessions", body)
    assert answer.status == 201, answer.json
    assert answer.json["logplex_url"].startswith(world.parts.public_url)
    return str(answer.json["logplex_url"])


async def app_with_lines(world: World) -> App:
    app = await world.create()
    await world.logs.forget(app.id)
    for number in range(3):
        world.logs.note(app.id, "web.1", f"web says {number}", source="app")
    world.logs.note(app.id, "router", "at=info")
    world.logs.note(app.id, "worker.1", "works", source="app")
    return app


async def test_events(world: World) -> None:
    await app_with_lines(world)
    answer = await world.ask("GET", await session(world, {"lines": 100, "tail": False}), headers=EVENTS)
    assert str(answer.header("Content-Type")).startswith("text/event-stream")
    first, *events, end = answer.raw.decode().split("\n\n")
    assert (first, len(events), end) == ("retry: 10", 5, "")
    ids = [int(event.partition("\n")[0].removeprefix("id: ")) for event in events]
    assert ids == list(range(ids[0], ids[0] + 5))
    assert events[0].startswith(f"id: {ids[0]}\ndata: ")
    assert events[0].endswith("+00:00 app[web.1]: web says 0")
    assert "heroku[router]: at=info" in events[3]


@pytest.mark.parametrize("accept", ["*/*", "text/plain", "application/vnd.heroku+json; version=3"])
async def test_lines(world: World, accept: str) -> None:
    await app_with_lines(world)
    answer = await world.ask("GET", await session(world, {}), headers={"Accept": accept})
    assert str(answer.header("Content-Type")).startswith("text/plain")
    assert len(answer.raw.splitlines()) == 5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"lines": 2}, 2),
        ({"lines": "2"}, 2),
        ({"lines": 0}, 0),
        ({"lines": 10**6}, 5),
        ({"source": "heroku"}, 1),
        ({"source": "app", "dyno": "web"}, 3),
        ({"dyno": "web.1"}, 3),
        ({"dyno_name": "worker.1"}, 1),
        ({"type": "worker"}, 1),
        ({"dyno": "web.2"}, 0),
        ({"source": None, "dyno": None, "tail": None, "lines": None, "strange": 1}, 5),
        ({"dyno": "we&b=c d/é"}, 0),
        ({"grep": "says"}, 3),
        ({"grep": "says &=", "lines": 7}, 0),
        ({"since": "2026-11-23T06:00:00Z"}, 5),
        ({"since": "2999-11-23T06:00:00+01:00"}, 0),
        ({"release": "v1"}, 0),
        ({"release": 1, "lines": 3}, 0),
    ],
)
async def test_what_is_asked_for(world: World, body: dict[str, Any], expected: int) -> None:
    await app_with_lines(world)
    answer = await world.ask("GET", await session(world, body))
    assert (answer.status, len(answer.raw.splitlines())) == (200, expected)


@pytest.mark.parametrize("body", BAD)
async def test_bad_sessions(world: World, body: dict[str, Any]) -> None:
    await world.create()
    answer = await world.call("POST", "/apps/shop/log-sessions", body)
    assert (answer.status, answer.json["id"]) == (422, "invalid_params")


async def test_of_a_release_there_is_not(world: World) -> None:
    """Bites: no look at the ledger, and nothing is shown of a mistyped version. A tail may wait for one to come."""
    await world.create()
    answer = await world.call("POST", "/apps/shop/log-sessions", {"release": "v9"})
    assert (answer.status, answer.json["resource"]) == (404, "release")
    await session(world, {"release": "v9", "tail": True})


def number(event: bytes) -> int:
    """An event's id."""
    return int(event.partition(b"\n")[0].removeprefix(b"id: "))


async def test_tail_and_resume(world: World) -> None:
    app = await app_with_lines(world)
    url = await session(world, {"lines": 1, "tail": True})
    async with asyncio.timeout(DEADLINE), world.session.get(url, headers=EVENTS) as stream:
        assert await stream.content.readuntil(b"\n\n") == b"retry: 10\n\n"
        fifth = number(await stream.content.readuntil(b"\n\n"))
        world.logs.note(app.id, "api", "news")
        assert (await stream.content.readuntil(b"\n\n")).endswith(b"heroku[api]: news\n\n")
    headers = {**EVENTS, "Last-Event-ID": str(fifth - 1)}
    async with asyncio.timeout(DEADLINE), world.session.get(url, headers=headers) as stream:
        await stream.content.readuntil(b"\n\n")
        assert number(await stream.content.readuntil(b"\n\n")) == fifth
        assert number(await stream.content.readuntil(b"\n\n")) == fifth + 1


async def test_a_session_can_not_be_widened(world: World) -> None:
    await app_with_lines(world)
    url = await session(world, {"lines": 1, "dyno": "web"})
    for wider in (url.replace("lines=1", "lines=9"), url.replace("dyno=web", "dyno=worker"), url.partition("&cap")[0]):
        answer = await world.ask("GET", wider)
        assert (answer.status, answer.json["id"]) == (404, "not_found")


async def test_one_line_is_one_event(world: World) -> None:
    app = await world.create()
    await world.logs.forget(app.id)
    world.logs.note(app.id, "web.1", "evil\n\nid: 9\rdata: forged", source="app")
    answer = await world.ask("GET", await session(world, {}), headers=EVENTS)
    assert answer.raw.count(b"\nid:") + answer.raw.count(b"\rid:") == 1


async def test_a_session_ends_with_what_its_reader_may_see(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: `read` without `_may_see`, or `_while_seen` without its look: who was let go reads on."""
    monkeypatch.setattr("paasd.api.logs.LOOK_SECONDS", 0.0)
    app = await app_with_lines(world)
    ann = await person(world, "ann@example.org")
    await share(world, app, ann, Permission.VIEW)
    url = str((await ann.call("POST", "/apps/shop/log-sessions", {"tail": True})).json["logplex_url"])
    assert (await world.ask("GET", url.replace("account=", "account=x"))).status == 404
    async with asyncio.timeout(DEADLINE), world.session.get(url) as stream:
        while b"works" not in await stream.content.readline():
            pass
        assert (await world.call("DELETE", "/apps/shop/collaborators/ann@example.org")).status == 200
        world.logs.note(app.id, "web.1", "not for ann", source="app")
        assert await stream.content.read() == b""
    again = await world.ask("GET", url)
    assert (again.status, again.json["id"]) == (404, "not_found")
