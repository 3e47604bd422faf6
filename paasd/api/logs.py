"""The app log: a session is a capability URL, read as server-sent events or as plain lines."""

import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

from aiohttp import hdrs, web

from paasd.api.links import log_resource
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, find_app, flag_of, read_object, text_of
from paasd.api.resources import log_session_resource
from paasd.api.streams import TEXT, check_capability, send, text_stream
from paasd.domain.access import Permission
from paasd.domain.dyno import LogLine
from paasd.domain.errors import InvalidParams, NotFound
from paasd.services.logs import RING_LINES, LogQuery

EVENTS = "text/event-stream"
DEFAULT_LINES = 100
RETRY = b"retry: 10\n\n"  # milliseconds; without it the CLI lingers 3 s at the end

Entries = AsyncIterator[tuple[int, LogLine] | None]
LogEntries = AsyncGenerator[tuple[int, LogLine] | None]
LOOK_SECONDS = 15.0


async def create_session(request: web.Request) -> web.Response:
    body = await read_object(request)
    app = await find_app(request)
    dyno = text_of(body, "dyno") or text_of(body, "dyno_name") or text_of(body, "type")
    since, release = _since_of(text_of(body, "since")), _release_of(body.get("release"))
    tail = flag_of(body, "tail") or False
    if release is not None and not tail:  # one may wait for what is still to come
        await request.app[PARTS].ledger.release(app, str(release))
    whole = since is not None or release is not None
    query = LogQuery(
        lines=None if whole and body.get("lines") is None else _lines_of(body.get("lines")),
        tail=tail,
        source=text_of(body, "source") or None,
        dyno=dyno or None,
        grep=text_of(body, "grep") or None,
        since=since,
        release=release,
    )
    url = request.app[PARTS].links.log(app.id, request[ACCOUNT].id, query)
    return reply(request, log_session_resource(str(uuid.uuid4()), datetime.now(UTC), url), status=201)


async def read(request: web.Request) -> web.StreamResponse:
    """Server-sent events to those who accept them, resumed after Last-Event-ID; lines of text to all others."""
    app_id, asked = request.match_info["app"], request.query
    lines, release = asked.get("lines", ""), asked.get("release", "")
    try:
        since = datetime.fromisoformat(asked["since"]) if "since" in asked else None
    except ValueError:
        since = None  # not an address of ours: its signature will not fit
    query = LogQuery(
        lines=None if lines == "all" else int(lines) if lines.isdecimal() else 0,
        tail=asked.get("tail") == "1",
        source=asked.get("source"),
        dyno=asked.get("dyno"),
        grep=asked.get("grep"),
        since=since,
        release=int(release) if release.isdecimal() else None,
    )
    account_id = asked.get("account", "")
    check_capability(request, log_resource(app_id, account_id, query))
    if not await _may_see(request, app_id, account_id):
        raise NotFound("This app's log is not yours to read any more; ask its owner.", resource="stream")
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isascii() and last.isdecimal() and len(last) < 20 else None
    entries = _while_seen(request, app_id, account_id, request.app[PARTS].logs.read(app_id, query, after=after))
    if EVENTS in request.headers.get(hdrs.ACCEPT, ""):
        return await send(request, text_stream(EVENTS), _events(entries))
    return await send(request, text_stream(TEXT), _texts(request, entries))


async def _may_see(request: web.Request, app_id: str, account_id: str) -> bool:
    """Whether whom the session was made for may see the app, still."""
    parts = request.app[PARTS]
    try:
        account, app = await parts.access.find(account_id), await parts.apps.find(app_id)
    except NotFound:
        return False
    return Permission.VIEW in await parts.access.permissions(account, app)


async def _while_seen(request: web.Request, app_id: str, account_id: str, entries: LogEntries) -> LogEntries:
    """The entries, until a look every so often finds them no longer to be told. (An idle log has empty ones.)"""
    looked = time.monotonic()
    async with aclosing(entries):
        async for entry in entries:
            if time.monotonic() - looked >= LOOK_SECONDS:
                if not await _may_see(request, app_id, account_id):
                    return
                looked = time.monotonic()
            yield entry


async def _events(entries: Entries) -> AsyncIterator[bytes]:
    yield RETRY
    async for entry in entries:
        if entry is None:
            yield b": still here\n\n"
        else:
            yield f"id: {entry[0]}\ndata: {_line(entry[1])}\n\n".encode()


async def _texts(request: web.Request, entries: Entries) -> AsyncIterator[bytes]:
    async for entry in entries:
        if entry is not None:
            yield f"{_line(entry[1])}\n".encode()
        elif request.transport is None or request.transport.is_closing():
            return


def _line(line: LogLine) -> str:
    return line.render().replace("\r", " ").replace("\n", " ")


def _lines_of(asked: object) -> int:
    if asked is None:
        return DEFAULT_LINES
    text = str(asked) if isinstance(asked, int | str) and not isinstance(asked, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidParams(f"lines must be a whole number, {RING_LINES} at most; send one or leave it out.")
    return min(int(text), RING_LINES)


def _since_of(asked: str | None) -> datetime | None:
    if not asked:
        return None
    try:
        found: datetime | None = datetime.fromisoformat(asked)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidParams("since must be a time with its zone, such as 2026-11-23T06:00:00Z.")
    return found.astimezone(UTC)


def _release_of(asked: object) -> int | None:
    if asked is None or asked == "":
        return None
    text = str(asked).removeprefix("v") if isinstance(asked, int | str) and not isinstance(asked, bool) else ""
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10):
        raise InvalidParams("release must be a version, such as v4.")
    return int(text)


PUBLIC_ROUTES = (web.get("/streams/{app}/logs", read, allow_head=False),)
ROUTES = (web.post("/apps/{app}/log-sessions", create_session),)
