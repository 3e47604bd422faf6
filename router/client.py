"""The client's side: aiohttp's server protocol, which reads and checks every request, with our own writing of answers.

Bytes to a client leave through `send` only. aiohttp's private names used here are why its version is pinned.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo
from aiohttp.web_request import BaseRequest


class Sent(web.StreamResponse):
    """What a handler returns once it has written its answer: aiohttp is left to keep the connection, or close it."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002
        return None


class Handler(Protocol):
    """What serves requests: a good one, and one that could not even be read."""

    async def serve(self, request: BaseRequest) -> Sent: ...
    def refuse(self, client: "ClientConnection") -> None: ...


class ClientConnection(RequestHandler):
    """One client's connection. `feeder`, while a tunnel runs, is the transport to hold back when this one is full."""

    def __init__(self, manager: web.Server, handler: Handler, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._handler = handler
        self.feeder: asyncio.Transport | None = None

    @property
    def address(self) -> str:
        peer = self.peername
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def busy(self) -> bool:
        return self._current_request is not None or bool(self._messages)

    def send(self, data: bytes) -> None:
        """Write, or raise ConnectionResetError when the client has gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("The client has gone.")
        transport.write(data)

    async def drained(self) -> None:
        """Return when there is room to write more."""
        if self._paused:
            await self._drain_helper()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The parser leaves a body it can't read on without an end: whoever reads it must hear of it.
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo) and self._current_request is not None:
            content = self._current_request.content
            if not content.is_eof() and content.exception() is None:
                content.set_exception(RequestPayloadError("The request's body is not well-formed."))

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002
        status: int = 500,  # noqa: ARG002
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        with suppress(ConnectionError):
            self._handler.refuse(self)
        return Sent(keep_alive=False)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.feeder is not None:
            self.feeder.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.feeder is not None and not self.feeder.is_closing():
            self.feeder.resume_reading()


class ClientServer(web.Server):
    """Makes a ClientConnection for each accepted socket, and knows them all."""

    def __init__(self, handler: Handler, connection: dict[str, Any]) -> None:
        async def serve(request: BaseRequest) -> web.StreamResponse:
            return await handler.serve(request)

        super().__init__(serve, handler_cancellation=True)
        self._make: Callable[[], ClientConnection] = lambda: ClientConnection(
            self, handler, loop=asyncio.get_running_loop(), **connection
        )

    def __call__(self) -> RequestHandler:
        return self._make()

    def close_idle(self) -> None:
        """Close the connections that wait between two requests."""
        for connection in self.connections:
            if isinstance(connection, ClientConnection) and not connection.busy:
                connection.force_close()
