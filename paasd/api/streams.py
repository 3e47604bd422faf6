"""Streams: bytes as they come, by capability URL. They end cleanly, resume by offset, and outlive a slow start."""

import re
from collections.abc import AsyncIterator

import structlog
from aiohttp import hdrs, web

from paasd.api.links import SIGNATURE, output_path
from paasd.api.parts import PARTS
from paasd.api.requests import shown_path
from paasd.domain.errors import NotFound, Unavailable

TEXT = "text/plain"
OPEN_RANGE = re.compile(r"bytes=([0-9]{1,15})-")

log = structlog.get_logger(__name__)


async def output(request: web.Request) -> web.StreamResponse:
    """What a release command or a build printed, live while it runs; `Range: bytes=N-` or `?offset=N` resumes.

    N counts what was printed. A range is no more than that: where byte N is kept no more it begins later, as its
    Content-Range says, and it breaks off where the writer overtakes its reader. All else has a line there that says so.
    """
    parts = request.app[PARTS]
    app_id, kind, key = (request.match_info[name] for name in ("app", "kind", "key"))
    check_capability(request, output_path(app_id, kind, key))
    if not parts.outputs.exists(app_id, (kind, key)):
        return web.Response(status=404, text=f"{kind.removesuffix('s').capitalize()} command not started yet.\n")
    offset, ranged = _offset(request)
    begin = await parts.outputs.reach(app_id, (kind, key), offset)
    response = text_stream(TEXT)
    if ranged:
        response.set_status(206)
        response.headers[hdrs.CONTENT_RANGE] = f"bytes {begin}-*/*"  # the length is not known while it runs
        offset = begin
    # The line that says what is left out would be counted, too.
    response.headers[hdrs.ACCEPT_RANGES] = "bytes" if begin == offset else "none"
    return await send(request, response, parts.outputs.read(app_id, (kind, key), offset=offset, unbroken=ranged))


def check_capability(request: web.Request, resource: str) -> None:
    """Raises NotFound unless the request carries the signature for this resource: strangers learn nothing."""
    if not request.app[PARTS].links.opens(resource, request.query.get(SIGNATURE, "")):
        raise NotFound("This address has expired or was never valid; ask for a new one.", resource="stream")


def text_stream(content_type: str) -> web.StreamResponse:
    """A response to be sent by `send`."""
    response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"})
    response.content_type = content_type
    response.charset = "utf-8"
    return response


async def send(request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send chunks until they end. A fault breaks the connection, so that nobody takes the part for the whole."""
    try:
        await response.prepare(request)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        pass  # the reader went away
    except Exception as error:
        if isinstance(error, Unavailable):
            log.warning("stream broken off", path=shown_path(request), reason=error.message)
        else:
            log.exception("stream broken", path=shown_path(request))
        if request.transport is not None:
            request.transport.abort()
    return response


def _offset(request: web.Request) -> tuple[int, bool]:
    match = OPEN_RANGE.fullmatch(request.headers.get(hdrs.RANGE, ""))
    if match:
        return int(match[1]), True
    given = request.query.get("offset", "")
    return (int(given) if re.fullmatch(r"[0-9]{1,15}", given) else 0), False


PUBLIC_ROUTES = (web.get("/streams/{app}/{kind:releases|builds}/{key}", output, allow_head=False),)
