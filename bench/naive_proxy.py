"""The proxy anyone would write first with aiohttp, for bench/router.py to be measured against: it streams both ways."""

import argparse
import asyncio
import uuid

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, WSMsgType, web

_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host"}


class Naive:
    """One upstream, one ClientSession."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: ClientSession | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Carry one request."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False
            )
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, self._session)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        headers += [
            ("Host", request.host),
            ("X-Forwarded-For", request.remote or ""),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", request.host),
            ("X-Request-Id", str(uuid.uuid4())),
        ]
        body = request.content if request.body_exists else None
        async with self._session.request(
            request.method, self._upstream + request.path_qs, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP]
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in kept:
                response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _websocket(self, request: web.Request, session: ClientSession) -> web.StreamResponse:
        client = web.WebSocketResponse()
        await client.prepare(request)
        async with session.ws_connect(self._upstream + request.path_qs) as app:

            async def back() -> None:
                async for message in app:
                    if message.type is WSMsgType.BINARY:
                        await client.send_bytes(message.data)

            task = asyncio.get_running_loop().create_task(back())
            try:
                async for message in client:
                    if message.type is WSMsgType.BINARY:
                        await app.send_bytes(message.data)
            finally:
                task.cancel()
        return client


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    given = parser.parse_args()
    app = web.Application(client_max_size=1 << 31)
    app.router.add_route("*", "/{path:.*}", Naive(given.upstream).serve)
    web.run_app(app, host="127.0.0.1", port=given.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
