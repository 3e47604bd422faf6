"""Where a client in SSH mode comes: `GET /attach/SECRET` with `Upgrade: tcp`, and from there on its bytes are SSH's."""

import asyncio
import contextlib
import socket

from aiohttp import hdrs, web

from paasd.api.parts import PARTS
from paasd.domain.errors import InvalidParams, NotFound

CHUNK_BYTES = 64 * 1024


class _Upgraded:
    """What aiohttp hands the bytes to that follow an upgrade."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


async def attach(request: web.Request) -> web.StreamResponse:
    """The secret is a capability: no token is asked for, and it opens once."""
    parts = request.app[PARTS]
    if request.headers.get(hdrs.UPGRADE, "").lower() != "tcp" or (transport := request.transport) is None:
        raise InvalidParams("Come here as `heroku run` does, with `Connection: Upgrade` and `Upgrade: tcp`.")
    offer = parts.one_offs.take(request.match_info["secret"])
    if offer is None:
        raise NotFound("Nothing waits here any more; run the command again.", resource="dyno")
    response = web.StreamResponse(status=101, headers={hdrs.CONNECTION: "Upgrade", hdrs.UPGRADE: "tcp"})
    response.force_close()
    await response.prepare(request)
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    reader.set_transport(transport)  # it is told to wait while nobody reads
    request.protocol.set_parser(_Upgraded(reader))  # type: ignore[arg-type]  # it calls these two
    ours, theirs = socket.socketpair()
    inner, writer = await asyncio.open_connection(sock=ours)
    try:
        async with asyncio.TaskGroup() as group:
            pumps = [
                group.create_task(_inward(reader, writer)),
                group.create_task(_outward(inner, response)),
            ]
            await parts.ssh.serve(offer, theirs)
            await asyncio.wait({pumps[1]})  # what was said last
            pumps[0].cancel()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        transport.close()
    return response


async def _inward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def _outward(inner: asyncio.StreamReader, response: web.StreamResponse) -> None:
    with contextlib.suppress(OSError):
        while chunk := await inner.read(CHUNK_BYTES):
            await response.write(chunk)


PUBLIC_ROUTES = (web.get("/attach/{secret:[0-9a-f]{32}}", attach, allow_head=False),)
