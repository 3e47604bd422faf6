"""Creates that are sent again."""

import asyncio
import uuid

import pytest
from yarl import URL

from paasd.api.replay import REPLAYS, Replays
from paasd.domain.errors import StoreUnavailable
from tests.paasd.api.world import World


async def test_a_create_sent_again_is_answered_as_before(world: World) -> None:
    number = str(uuid.uuid4())
    first = await world.call("POST", "/apps", {"name": "shop"}, Request_Id=f"{number},{uuid.uuid4()}")
    again = await world.call("POST", "/apps", {"name": "shop"}, Request_Id=f"{number},{uuid.uuid4()}")
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    for unknown in (str(uuid.uuid4()), "not-a-uuid"):
        assert (await world.call("POST", "/apps", {"name": "shop"}, Request_Id=unknown)).status == 422
    other = await world.call("POST", "/apps", {"name": "store"}, Request_Id=number)
    assert (other.status, other.json["id"]) == (422, "invalid_params")
    assert "another body" in other.json["message"]
    assert [app["name"] for app in await world.get("/apps")] == ["shop"]


async def test_what_a_header_tells_is_told_again(world: World) -> None:
    """Bites: without the headers, a client whose connection broke never learns the secret it is signed with."""
    await world.create()
    wish = {"url": "http://127.0.0.1/hook", "include": ["api:dyno", "api:app"], "level": "notify"}
    number = str(uuid.uuid4())
    first = await world.call("POST", "/apps/shop/webhooks", wish, Request_Id=number)
    again = await world.call("POST", "/apps/shop/webhooks", wish, Request_Id=number)
    assert first.status == again.status == 201 and first.json == again.json
    for name in ("Heroku-Webhook-Secret", "X-Heroku-Warning"):
        assert first.header(name) is not None and first.header(name) == again.header(name)


async def test_also_while_the_first_is_still_worked_on(world: World) -> None:
    number = str(uuid.uuid4())
    answers = await asyncio.gather(*(world.call("POST", "/apps", {}, Request_Id=number) for _ in range(5)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(await world.get("/apps")) == 1


async def test_what_failed_is_tried_again(world: World) -> None:
    number = str(uuid.uuid4())
    await world.create("shop")
    assert (await world.call("POST", "/apps", {"name": "shop"}, Request_Id=number)).status == 422
    await world.call("DELETE", "/apps/shop")
    assert (await world.call("POST", "/apps", {"name": "shop"}, Request_Id=number)).status == 201


async def test_a_client_cut_off_after_the_work(world: World) -> None:
    number = str(uuid.uuid4())
    url = URL(world.parts.public_url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    body = b'{"name": "shop"}'
    authorization = "Bearer t0ken-of-the-owner"
    head = (
        f"POST /apps HTTP/1.1\r\nHost: {url.authority}\r\nAuthorization: {authorization}\r\nRequest-Id: {number}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    again = await world.call("POST", "/apps", {"name": "shop"}, Request_Id=number)
    assert again.status == 201
    assert len(await world.get("/apps")) == 1


async def test_a_change_sent_again_is_made_once(world: World) -> None:
    """Bites: "PATCH" taken out of METHODS."""
    await world.create("shop")
    number = str(uuid.uuid4())
    for value in ("1", "2"):
        await world.call("PATCH", "/apps/shop/config-vars", {"A": value}, Request_Id=str(uuid.uuid4()))
        first = await world.call("PATCH", "/apps/shop/config-vars", {"B": "b"}, Request_Id=number)
    assert (first.status, first.json) == (200, {"A": "1", "B": "b"})  # as it was answered the first time
    assert await world.get("/apps/shop/config-vars") == {"A": "2", "B": "b"}


async def test_what_is_gone_is_deleted_once(world: World) -> None:
    """Bites: "DELETE" taken out of METHODS."""
    await world.create("shop")
    number = str(uuid.uuid4())
    await world.call("POST", "/apps/shop/domains", {"hostname": "shop.example.org", "sni_endpoint": None})
    first = await world.call("DELETE", "/apps/shop/domains/shop.example.org", Request_Id=number)
    again = await world.call("DELETE", "/apps/shop/domains/shop.example.org", Request_Id=number)
    assert (first.status, again.status, again.json) == (200, 200, first.json)


async def test_by_the_next_daemon_too(world: World) -> None:
    """Bites: `keep_answer` left out: a 409. The note of the write left out as well: done twice."""
    await world.create("shop")
    number = str(uuid.uuid4())
    first = await world.call("PATCH", "/apps/shop/config-vars", {"A": "1"}, Request_Id=number)
    await world.call("PATCH", "/apps/shop/config-vars", {"A": "2"})
    forget_what_is_in_memory(world)
    again = await world.call("PATCH", "/apps/shop/config-vars", {"A": "1"}, Request_Id=number)
    assert (again.status, again.json) == (200, first.json)
    assert await world.get("/apps/shop/config-vars") == {"A": "2"}


async def test_begun_and_never_answered_is_not_done_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store goes away between the work and its answer's record: as good as a daemon killed there. Bites: the note
    of `once` left out."""

    async def fail(*_: object) -> None:
        raise StoreUnavailable("No room.")

    number = str(uuid.uuid4())
    monkeypatch.setattr(world.store, "keep_answer", fail)
    assert (await world.call("POST", "/apps", {}, Request_Id=number)).status == 201
    monkeypatch.undo()
    forget_what_is_in_memory(world)
    again = await world.call("POST", "/apps", {}, Request_Id=number)
    assert (again.status, again.json["id"]) == (409, "conflict")
    assert "under another Request-Id" in again.json["message"]
    assert len(await world.get("/apps")) == 1


def forget_what_is_in_memory(world: World) -> None:
    replays: Replays = world.api[REPLAYS]
    assert not replays._under_way
