"""Webhooks over the wire, to a real server: signed, retried, in order, durable, and never a secret told again."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from paasd.adapters.web_fetch import WebFetch
from paasd.api.payloads import Payloads
from paasd.services.webhooks import Webhooks
from tests.paasd.api.people import person
from tests.paasd.api.schema import load_judge
from tests.paasd.api.world import World

SECRET = "s3cret-of-the-hook"
AUTHORIZATION = "Bearer 0f-the-hook"


class Receiver:
    """Answers with the next of `answers`, then 200; keeps what came."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.stuck, self.taken = asyncio.Event(), asyncio.Event()

    async def hang(self, _: web.Request) -> web.Response:
        self.stuck.set()
        await asyncio.sleep(60)
        return web.Response()

    async def take(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.read()))
        self.taken.set()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.seen]


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_post("/stuck", receiver.hang)
    async with TestServer(app, host="127.0.0.1") as server:
        yield receiver, str(server.make_url("/hook"))


async def add(world: World, url: str, **more: object) -> Any:
    world.parts.webhooks.render = Payloads(world.store, world.parts.links, world.parts.addons.catalogue).render
    wish = {"url": url, "include": ["api:release", "api:build", "api:domain", "api:app"], "level": "sync", **more}
    return await world.call("POST", "/apps/shop/webhooks", wish)


async def test_it_is_kept_sealed_and_its_secret_is_told_once(world: World, receiver: tuple[Receiver, str]) -> None:
    """Bites: stored as it is, the secret is in the database file; in `_webhook`, it is in the answers."""
    await world.create()
    made = await add(world, receiver[1], secret=SECRET, authorization=AUTHORIZATION)
    assert (made.status, made.header("Heroku-Webhook-Secret")) == (201, SECRET)
    path = f"/apps/shop/webhooks/{made.json['id']}"
    assert await world.get(path) == (await world.get("/apps/shop/webhooks"))[0] == made.json
    assert made.json["include"] == ["api:release", "api:build", "api:domain", "api:app"]
    changed = await world.call("PATCH", path, {"level": "notify", "secret": None})
    assert (changed.status, changed.json["level"], changed.json["url"]) == (200, "notify", receiver[1])
    [kept] = await world.store.webhooks()
    assert (kept.secret, kept.authorization) == (SECRET, AUTHORIZATION)
    assert SECRET not in repr(kept) and AUTHORIZATION not in repr(kept)
    told = json.dumps([made.json, changed.json, await world.get("/apps/shop/audit")])
    stored = world.store._database.path.read_bytes() + world.store._database.path.with_suffix(".db-wal").read_bytes()
    for secret in (SECRET, AUTHORIZATION):
        assert secret not in told and secret.encode() not in stored
    generated = (await add(world, receiver[1])).header("Heroku-Webhook-Secret")
    assert generated is not None and len(generated) == 64
    assert (await world.call("DELETE", path)).status == 200
    assert (await world.call("GET", path)).json["resource"] == "webhook"


async def test_what_happens_is_told_signed_and_in_order(world: World, receiver: tuple[Receiver, str]) -> None:
    """Bites: without the triggers nothing comes; with another key the signature differs."""
    app = await world.create()
    await add(world, receiver[1], secret=SECRET, authorization=AUTHORIZATION)
    await world.call("POST", "/apps/shop/domains", {"hostname": "www.example.org"})
    await world.deployed(app)
    await world.call("PATCH", "/apps/shop", {"maintenance": True})
    await world.call("DELETE", "/apps/shop/domains/www.example.org")
    for _ in range(20):  # a `sync` webhook gets one a round
        await world.parts.webhooks.round()
    told = [(body["resource"], body["action"], body["data"].get("status")) for body in receiver[0].bodies]
    assert told == [
        ("domain", "create", "none"),
        ("build", "create", "pending"),
        ("build", "update", "succeeded"),
        ("release", "create", "pending"),
        ("release", "update", "succeeded"),
        *[("app", "update", None)] * (len(told) - 6),
        ("domain", "destroy", "none"),
    ]
    for headers, body in receiver[0].seen:
        digest = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
        assert (headers["Heroku-Webhook-Hmac-SHA256"], headers["Authorization"]) == (digest, AUTHORIZATION)
        assert headers["Content-Type"] == "application/json"
    deliveries = await world.get("/apps/shop/webhook-deliveries", Range="seq ..; order=desc,max=1000")
    assert {one["status"] for one in deliveries} == {"succeeded"} and len(deliveries) == len(told)
    assert [one["seq"] for one in deliveries] == sorted((one["seq"] for one in deliveries), reverse=True)
    whom, first = receiver[0].bodies[0]["webhook_metadata"], deliveries[-1]
    assert (whom["delivery"]["id"], whom["event"]["id"]) == (first["id"], first["event"]["id"])
    event = await world.get(f"/apps/shop/webhook-events/{first['event']['id']}")
    assert event["payload"]["data"]["hostname"] == "www.example.org"
    assert len(await world.get("/apps/shop/webhook-events")) == len(told)
    assert all(body["data"].get("output_stream_url") is None for body in receiver[0].bodies)


async def test_addons_and_attachments_are_told_of(world: World, receiver: tuple[Receiver, str]) -> None:
    """Bites: without the triggers of 0011 nothing comes."""
    await world.create()
    await add(world, receiver[1], include=["api:addon", "api:addon-attachment"])
    made = (await world.call("POST", "/apps/shop/addons", {"plan": "heroku-postgresql:mini"})).json
    await world.parts.addons.wait(await world.parts.addons.find(made["name"]))
    await world.call("PATCH", f"/apps/shop/addons/{made['name']}", {"plan": "heroku-postgresql:small"})
    gone = await world.call("DELETE", f"/apps/shop/addons/{made['name']}")
    assert gone.status == 200
    await world.parts.addons.wait(await world.store.addon(made["id"]))
    for _ in range(20):
        await world.parts.webhooks.round()
    told = [(body["resource"], body["action"], body["data"].get("state")) for body in receiver[0].bodies]
    assert told == [
        ("addon", "create", "provisioning"),
        ("addon-attachment", "create", None),
        ("addon", "update", "provisioned"),
        ("addon", "update", "provisioned"),
        ("addon", "update", "deprovisioning"),
        ("addon-attachment", "destroy", None),
        ("addon", "destroy", "deprovisioned"),
    ]
    first, attached = (body["data"] for body in receiver[0].bodies[:2])
    assert load_judge().check("GET", f"/addons/{made['id']}", first)
    assert load_judge().check("GET", f"/addon-attachments/{attached['id']}", attached)
    assert (attached["name"], attached["addon"]["id"], attached["app"]["name"]) == ("DATABASE", made["id"], "shop")
    assert (await world.store.addon(made["id"])).secret not in str(receiver[0].seen)


async def test_what_fails_is_tried_again_and_by_hand(world: World, receiver: tuple[Receiver, str]) -> None:
    await world.create()
    await add(world, receiver[1])
    receiver[0].answers = [500]
    await world.call("POST", "/apps/shop/domains", {"hostname": "a.example.org"})
    await world.call("POST", "/apps/shop/domains", {"hostname": "b.example.org"})
    for _ in range(3):
        await world.parts.webhooks.round()
    assert [body["data"]["hostname"] for body in receiver[0].bodies] == ["a.example.org"]  # b waits for a
    [one] = await world.get("/apps/shop/webhook-deliveries?eq[status]=retrying")
    assert (one["num_attempts"], one["last_attempt"]["code"], one["last_attempt"]["status"]) == (1, 500, "failed")
    assert one["next_attempt_at"] is not None
    again = await world.call("POST", f"/apps/shop/webhook-deliveries/{one['id']}/actions/retry")
    assert (again.status, again.json["status"]) == (202, "pending")
    for _ in range(2):
        await world.parts.webhooks.round()
    names = [body["data"]["hostname"] for body in receiver[0].bodies]
    assert names == ["a.example.org", "a.example.org", "b.example.org"]
    ids = [body["webhook_metadata"]["delivery"]["id"] for body in receiver[0].bodies]
    assert ids[0] == ids[1] != ids[2]
    assert (await world.call("GET", "/apps/shop/webhook-deliveries/none")).json["resource"] == "webhook_delivery"


async def test_another_daemon_goes_on_where_one_stopped(world: World, receiver: tuple[Receiver, str]) -> None:
    """Bites: kept in memory, what happened before the restart is never told."""
    await world.create()
    await add(world, receiver[1])
    await world.call("POST", "/apps/shop/domains", {"hostname": "a.example.org"})
    render = Payloads(world.store, world.parts.links, world.parts.addons.catalogue).render
    again = Webhooks(world.store, WebFetch(("127.0.0.0/8",)), world.logs, world.background, render)
    task = world.background.spawn("webhooks", again.keep())
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while not receiver[0].seen and datetime.now(UTC) < deadline:
        await world.get("/apps/shop/webhook-deliveries")
    task.cancel()
    assert [body["data"]["hostname"] for body in receiver[0].bodies] == ["a.example.org"]


async def test_private_addresses_are_neither_taken_nor_asked(world: World, receiver: tuple[Receiver, str]) -> None:
    """Bites: with a plain client, the receiver on 127.0.0.1 is called."""
    await world.create()
    await add(world, receiver[1])
    await world.call("POST", "/apps/shop/domains", {"hostname": "a.example.org"})
    world.parts.webhooks.web = WebFetch()
    for url in (receiver[1], "http://10.0.0.1/", "http://169.254.169.254/x", "file:///etc/passwd", "http://a:b@x.org/"):
        refused = await add(world, url)
        assert (refused.status, refused.json["id"]) == (422, "invalid_params")
    await world.parts.webhooks.round()
    assert receiver[0].seen == []
    [one] = await world.get("/apps/shop/webhook-deliveries")
    assert (one["last_attempt"]["error_class"], one["last_attempt"]["code"]) == ("InvalidParams", None)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"url": None}, {"url": 7}, {"url": "x"}, {"include": []}, {"include": ["api:moon"]}, {"level": "often"}),
        *({"level": None}, {"secret": "a\nb"}, {"authorization": "a\r\nX: y"}, {"url": "http://x.org/" + "y" * 3000}),
    ],
)
async def test_what_is_no_webhook(world: World, receiver: tuple[Receiver, str], wrong: dict[str, object]) -> None:
    await world.create()
    wish = {"url": receiver[1], "include": ["api:app"], "level": "sync", **wrong}
    refused = await world.call("POST", "/apps/shop/webhooks", wish)
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")


async def test_what_never_happens_is_taken_with_a_warning(world: World, receiver: tuple[Receiver, str]) -> None:
    await world.create()
    made = await add(world, receiver[1], include=["api:dyno", "api:release"])
    assert made.status == 201 and "Nothing is told of api:dyno" in (made.header("X-Heroku-Warning") or "")


async def test_a_destroyed_app_tells_nothing_and_old_deliveries_are_forgotten(
    world: World, receiver: tuple[Receiver, str]
) -> None:
    app = await world.create()
    await add(world, receiver[1])
    await world.call("POST", "/apps/shop/domains", {"hostname": "a.example.org"})
    await world.parts.webhooks.round()
    assert len(await world.store.deliveries(app.id)) == 1
    await world.store.forget_deliveries(datetime.now(UTC) - timedelta(days=1))
    assert len(await world.store.deliveries(app.id)) == 1
    await world.store.forget_deliveries(datetime.now(UTC) + timedelta(days=1))
    assert not await world.store.deliveries(app.id) and not await world.store.events(app.id)
    await world.call("POST", "/apps/shop/domains", {"hostname": "b.example.org"})
    assert (await world.call("DELETE", "/apps/shop")).status == 200
    assert list(await world.store.happenings()) == [] and not await world.store.has_webhooks()


async def test_one_app_s_receivers_hold_up_no_other_s(world: World, receiver: tuple[Receiver, str]) -> None:
    """Bites: `keep` with `round` in the place of `_begin_round`: all wait for the one that does not answer."""
    await world.create()
    await add(world, receiver[1], include=["api:domain"])
    eve = await person(world, "eve@example.org")
    await eve.call("POST", "/apps", {"name": "eves"})
    wish = {"url": receiver[1].replace("/hook", "/stuck"), "include": ["api:domain"], "level": "notify"}
    assert (await eve.call("POST", "/apps/eves/webhooks", wish)).status == 201
    keeping = world.background.spawn("webhooks", world.parts.webhooks.keep())
    await eve.call("POST", "/apps/eves/domains", {"hostname": "www.example.net"})
    async with asyncio.timeout(5):
        await receiver[0].stuck.wait()
        await world.call("POST", "/apps/shop/domains", {"hostname": "www.example.org"})
        await receiver[0].taken.wait()
    keeping.cancel()
    assert [body["data"]["hostname"] for body in receiver[0].bodies] == ["www.example.org"]
