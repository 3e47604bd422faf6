"""A POST or PATCH that a client sends again is answered as the first time, and not done twice.

The CLI re-sends a POST up to five times with the same Request-Id, a UUID that it makes afresh for each request.
"""

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from aiohttp import web

from paasd.api.replies import JSON
from paasd.api.requests import ACTOR

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Key = tuple[str, str, str, str]

METHODS = ("POST", "PATCH")
DONE = (200, 201, 202)
TOLD_BY_HEADER = ("Heroku-Webhook-Secret", "X-Heroku-Warning")
KEPT = 256  # clients give up within a minute


class Replays:
    """Creates that were answered, by body and telling headers, or are being worked on, newest last."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Key, asyncio.Future[tuple[int, bytes, dict[str, str]]]] = OrderedDict()

    async def create(self, key: Key, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The handler's answer, or that of the same request before. What did not create anything is tried again."""
        while (before := self._answers.get(key)) is not None:
            await asyncio.wait([before])
            if not before.cancelled():
                status, body, headers = before.result()
                return web.Response(status=status, body=body, content_type=JSON, headers=headers)
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            response = await handler(request)
            if response.status in DONE and isinstance(response, web.Response) and isinstance(response.body, bytes):
                headers = {name: response.headers[name] for name in TOLD_BY_HEADER if name in response.headers}
                answer.set_result((response.status, response.body, headers))
            return response
        finally:
            if not answer.done():
                del self._answers[key]
                answer.cancel()
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._answers) > KEPT and next(iter(self._answers.values())).done():
            self._answers.popitem(last=False)


REPLAYS = web.AppKey("REPLAYS", Replays)


@web.middleware
async def replay(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only for authenticated clients that number their requests; within one account, method and path."""
    number = request.headers.get("Request-Id", "").partition(",")[0].strip()
    actor = request.get(ACTOR)
    if request.method not in METHODS or actor is None or not _is_uuid(number):
        return await handler(request)
    digest = hashlib.sha256(await request.read()).hexdigest()
    key = (actor.account_id, f"{request.method} {request.rel_url.raw_path}", number, digest)
    return await request.app[REPLAYS].create(key, request, handler)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
