"""A write that a client sends again is answered as the first time, and not done twice: not even by the next daemon.

The CLI re-sends a POST up to five times with the same Request-Id, a UUID that it makes afresh for each request. The
note that a call was begun is one transaction with the first that it writes, so that a daemon killed at any moment
leaves either both or nothing of it; its answer is kept under seal for a day. Behind authorization: what one may no
longer see is not told again either, so that an app's own end or new name is a 404 to who asks for it twice.
"""

import asyncio
import contextlib
import hashlib
import hmac
import uuid
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import JSON, Refusal
from paasd.api.requests import ACTOR, shown_path
from paasd.domain.errors import StoreUnavailable
from paasd.domain.request import Answered, Asked
from paasd.ports import RequestStore

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

METHODS = ("POST", "PATCH", "DELETE")
DONE = (200, 201, 202)
TOLD_BY_HEADER = ("Heroku-Webhook-Secret", "X-Heroku-Warning")

log = structlog.get_logger(__name__)


class Replays:
    """The calls that are being worked on; the others are in the store."""

    def __init__(self, store: RequestStore) -> None:
        self._store = store
        self._under_way: dict[Asked, tuple[str, asyncio.Event]] = {}

    async def answer(self, asked: Asked, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The handler's answer, or that of the same request before. What failed is tried again.

        Refusal for another body under the same number, and for what a daemon before this one did not get to answer.
        """
        while (before := self._under_way.get(asked)) is not None:
            _hold_to(asked, before[0])
            await before[1].wait()
        ended = asyncio.Event()
        self._under_way[asked] = asked.digest, ended
        try:
            if (known := await self._store.answered(asked)) is not None:
                return _again(asked, known)
            return await self._first(asked, request, handler)
        finally:
            del self._under_way[asked]
            ended.set()

    async def _first(self, asked: Asked, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            with self._store.once(asked):
                response = await handler(request)
        except Exception:
            with contextlib.suppress(StoreUnavailable):
                await self._store.forget_request(asked)
            raise
        try:
            if response.status in DONE and isinstance(response, web.Response) and isinstance(response.body, bytes):
                headers = {name: response.headers[name] for name in TOLD_BY_HEADER if name in response.headers}
                answer = Answered(asked.digest, response.status, response.body.decode(), headers)
                await self._store.keep_answer(asked, answer)
            else:
                await self._store.forget_request(asked)
        except StoreUnavailable as error:  # it is done all the same, and whoever asked is told so
            log.warning("the answer to a call was not kept", request_id=asked.number, error=error.message)
        return response


REPLAYS = web.AppKey("REPLAYS", Replays)


@web.middleware
async def replay(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only for authenticated clients that number their requests; within one account, method and path."""
    number = request.headers.get("Request-Id", "").partition(",")[0].strip().lower()
    actor = request.get(ACTOR)
    if request.method not in METHODS or actor is None or not _is_uuid(number):
        return await handler(request)
    digest = hashlib.sha256(await request.read()).hexdigest()
    asked = Asked(actor.account_id, number, request.method, _path(request), digest)
    return await request.app[REPLAYS].answer(asked, request, handler)


def _path(request: web.Request) -> str:
    """What may be kept of it, and is another for another path."""
    shown, path = shown_path(request), request.rel_url.raw_path
    if shown == path:
        return path
    return f"{shown} {hmac.new(request.app[PARTS].secret, path.encode(), hashlib.sha256).hexdigest()}"


def _again(asked: Asked, known: Answered) -> web.Response:
    _hold_to(asked, known.digest)
    if not known.status:
        message = (
            "This request was begun, and the daemon ended before it could answer it; see what became of it "
            "(`paas releases`), and send it under another Request-Id if it is still to be done."
        )
        raise Refusal(409, "conflict", message)
    return web.Response(status=known.status, body=known.body.encode(), content_type=JSON, headers=known.headers)


def _hold_to(asked: Asked, digest: str) -> None:
    if asked.digest != digest:
        message = "This Request-Id was used for a request with another body; send this one under its own."
        raise Refusal(422, "invalid_params", message)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
