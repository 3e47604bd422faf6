"""Creates that are sent again."""

import asyncio
import uuid

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from paasd.api.replay import KEPT, Replays
from tests.paasd.api.world import World


async def test_a_create_sent_again_is_answered_as_before(world: World) -> None:
    number = str(uuid.uuid4())
    first = await world.call("POST", "/apps", {"name": "shop"}, Request_Id=f"{number},{uuid.uuid4()}")
    again = await world.call("POST", "/apps", {"name": "shop"}, Request_Id=f"{number},{uuid.uuid4()}")
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    for other in (str(uuid.uuid4()), "not-a-uuid"):
        assert (await world.call("POST", "/apps", {"name": "shop"}, Request_Id=other)).status == 422
    assert (await world.call("POST", "/apps", {"name": "store"}, Request_Id=number)).status == 201


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


async def test_only_so_many_are_kept() -> None:
    replays = Replays()
    made = 0

    async def create(_: web.Request) -> web.Response:
        nonlocal made
        made += 1
        return web.Response(status=201, body=b"{}")

    request = make_mocked_request("POST", "/apps")
    for number in [*range(KEPT + 1), *range(KEPT + 1)]:
        await replays.create(("", "", str(number), ""), request, create)
    assert made == 2 * (KEPT + 1)
    await replays.create(("", "", str(KEPT), ""), request, create)
    assert made == 2 * (KEPT + 1)


async def test_a_change_sent_again_is_made_once(world: World) -> None:
    """Bites: "PATCH" taken out of METHODS."""
    await world.create("shop")
    number = str(uuid.uuid4())
    for value in ("1", "2"):
        await world.call("PATCH", "/apps/shop/config-vars", {"A": value}, Request_Id=str(uuid.uuid4()))
        first = await world.call("PATCH", "/apps/shop/config-vars", {"B": "b"}, Request_Id=number)
    assert (first.status, first.json) == (200, {"A": "1", "B": "b"})  # as it was answered the first time
    assert await world.get("/apps/shop/config-vars") == {"A": "2", "B": "b"}
