"""Webhooks of an app, their deliveries and events. Secrets come in, and one goes out once, in a header."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.platform import WARNING
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, note, read_object
from paasd.api.resources import Resource, of_app, stamp
from paasd.domain.app import App
from paasd.domain.webhook import NEVER_HAPPENS, TOLD, Delivery, Event, Webhook

SECRET = "Heroku-Webhook-Secret"  # noqa: S105 - a header's name


async def index(request: web.Request) -> web.Response:
    app = await find_app(request)
    found = await request.app[PARTS].webhooks.of(app)
    return reply_list(request, [_webhook(one, app) for one in found], ("id", "created_at", "updated_at"), of=found)


async def show(request: web.Request) -> web.Response:
    return reply(request, _webhook(await _find(request), await find_app(request)))


async def create(request: web.Request) -> web.Response:
    app = await find_app(request)
    made = await request.app[PARTS].webhooks.add(request[ACTOR], app, await read_object(request))
    note(request, webhook=[None, made.id])
    return reply(request, _webhook(made, app), status=201, headers={SECRET: made.secret, **_warning(made)})


async def update(request: web.Request) -> web.Response:
    webhook = await _find(request)
    changed = await request.app[PARTS].webhooks.change(webhook, await read_object(request))
    return reply(request, _webhook(changed, await find_app(request)), headers=_warning(changed))


async def destroy(request: web.Request) -> web.Response:
    app, webhook = await find_app(request), await _find(request)
    await request.app[PARTS].webhooks.remove(request[ACTOR], app, webhook)
    note(request, webhook=[webhook.id, None])
    return reply(request, _webhook(webhook, app))


async def index_deliveries(request: web.Request) -> web.Response:
    status = request.query.get("eq[status]")
    every = await request.app[PARTS].webhooks.deliveries(await find_app(request))
    found = [one for one in every if status is None or one.status == status]
    return reply_list(request, [_delivery(one) for one in found], ("seq", "id", "created_at"), of=found)


async def show_delivery(request: web.Request) -> web.Response:
    return reply(request, _delivery(await _find_delivery(request)))


async def retry_delivery(request: web.Request) -> web.Response:
    again = await request.app[PARTS].webhooks.retry(await _find_delivery(request))
    return reply(request, _delivery(again), status=202)


async def index_events(request: web.Request) -> web.Response:
    found = await request.app[PARTS].webhooks.store.events((await find_app(request)).id)
    return reply_list(request, [_event(one) for one in found], ("id", "created_at"), of=found)


async def show_event(request: web.Request) -> web.Response:
    app = await find_app(request)
    return reply(request, _event(await request.app[PARTS].webhooks.store.event(app.id, request.match_info["event"])))


async def _find(request: web.Request) -> Webhook:
    return await request.app[PARTS].webhooks.find(await find_app(request), request.match_info["webhook"])


async def _find_delivery(request: web.Request) -> Delivery:
    return await request.app[PARTS].webhooks.delivery(await find_app(request), request.match_info["delivery"])


def _warning(webhook: Webhook) -> dict[str, str]:
    never = [one for one in webhook.include if one in NEVER_HAPPENS]
    return {WARNING: f"Nothing is told of {', '.join(never)} here; of {', '.join(TOLD)} it is."} if never else {}


def _webhook(webhook: Webhook, app: App) -> Resource:
    return {
        **of_app(webhook, app),
        "include": list(webhook.include),
        "level": webhook.level.value,
        "url": webhook.url,
    }


def _delivery(delivery: Delivery) -> Resource:
    last: Resource | None = None
    if delivery.attempted_at is not None:
        at = stamp(delivery.attempted_at)
        arrived = delivery.attempt_code is not None and 200 <= delivery.attempt_code < 300
        last = {
            "id": delivery.attempt_id,
            "code": delivery.attempt_code,
            "error_class": delivery.attempt_error,
            "status": "succeeded" if arrived else "failed",
            "created_at": at,
            "updated_at": at,
        }
    return {
        "created_at": stamp(delivery.created_at),
        "event": {"id": delivery.event_id, "include": delivery.include},
        "id": delivery.id,
        "last_attempt": last,
        "next_attempt_at": stamp(delivery.next_at) if delivery.next_at else None,
        "num_attempts": delivery.attempts,
        "seq": delivery.seq,
        "status": delivery.status.value,
        "updated_at": stamp(delivery.updated_at),
        "webhook": {"id": delivery.webhook_id, "level": delivery.level.value},
    }


def _event(event: Event) -> Resource:
    return {
        "created_at": stamp(event.created_at),
        "id": event.id,
        "include": event.include,
        "payload": dict(event.payload),
        "updated_at": stamp(event.created_at),
    }


ROUTES = (
    web.get("/apps/{app}/webhooks", index),
    web.post("/apps/{app}/webhooks", create),
    web.get("/apps/{app}/webhooks/{webhook}", show),
    web.patch("/apps/{app}/webhooks/{webhook}", update),
    web.delete("/apps/{app}/webhooks/{webhook}", destroy),
    web.get("/apps/{app}/webhook-deliveries", index_deliveries),
    web.get("/apps/{app}/webhook-deliveries/{delivery}", show_delivery),
    web.post("/apps/{app}/webhook-deliveries/{delivery}/actions/retry", retry_delivery),
    web.get("/apps/{app}/webhook-events", index_events),
    web.get("/apps/{app}/webhook-events/{event}", show_event),
)
