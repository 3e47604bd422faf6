"""One request carried to a target and its answer back, streaming both ways.

Nothing is sent twice that an app may have acted on: a request is tried again only when no connection was made, or once
when it is idempotent, has no body, and its connection was closed before a byte came back: on another dyno, or, where
there is none and the connection was a kept one, on a new one to the same.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import ClientError
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestPayloadError

from router import tasks
from router.call import Call
from router.client import ClientConnection
from router.codes import Code, Fault
from router.fabric import Fabric, Limits
from router.headers import RequestHead
from router.inflight import Address
from router.passage import Handed
from router.reply import Reply
from router.table import Route, Target
from router.tunnel import Tunnel
from router.upstream import UpstreamConnection

__all__ = ["Exchange", "Fabric", "Limits"]

_BROKEN = (ClientError, HttpProcessingError, OSError, RuntimeError)
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))


def _is_too_long(error: HttpProcessingError) -> bool:
    """Whether it is an answer's head that is beyond the limits. (aiohttp tells the reason as the error's cause.)"""
    return isinstance(error.__cause__, LineTooLong) or "many headers" in str(error.__cause__)


class _Silent(Exception):
    """The connection was closed before a byte of the answer; `kept` had been used before."""

    def __init__(self, kept: bool) -> None:
        super().__init__()
        self.kept = kept


class Exchange:
    """Serves one request by one route; `run` ends with the answer sent, or raises Fault."""

    def __init__(
        self, fabric: Fabric, route: Route, call: Call, head: RequestHead, head_bytes: bytes, content: StreamReader,
        reply: Reply, tunnel_ended: Callable[[Call], None],
    ) -> None:  # fmt: skip
        self._fabric = fabric
        self._limits = route.timeouts or fabric.limits
        self._call = call
        self._head = head
        self._head_bytes = head_bytes
        self._content = content
        self._reply = reply
        self._tunnel_ended = tunnel_ended
        self._loop = asyncio.get_running_loop()
        self._uploaded = not head.has_body
        self._upload_fault: Fault | None = None
        self._last_upload = 0.0
        self._deadline: asyncio.Timeout | None = None

    async def resume(self, handed: Handed, client: ClientConnection) -> None:
        """Go on with a request that the fast lane has sent. Raises Fault."""
        self._call.dyno, self._call.connect = handed.target.dyno, 0.0
        with self._fabric.in_flight.hold((handed.target.host, handed.target.port)):
            handed.release()
            if handed.fault is not None:
                raise handed.fault
            assert handed.connection is not None
            try:
                await self._talk(handed.connection, client, sent=True)
            except _Silent as silent:
                raise Fault(Code.H13) from silent

    async def run(self, route: Route, client: ClientConnection, given_up: Handed | None) -> None:
        """Find a target that takes the request and carry it there; `given_up`: the lane has tried. Raises Fault."""
        refused: set[Address] = set()
        target = self._target(route)
        fresh = given_up is not None
        if given_up is not None and (target.host, target.port) == (given_up.target.host, given_up.target.port):
            target = self._another({(target.host, target.port)}) or target
        while True:
            address, self._call.dyno = (target.host, target.port), target.dyno
            with self._fabric.in_flight.hold(address):
                if given_up is not None:
                    given_up.release()
                try:
                    connection = await self._connection(address, fresh)
                except Fault:
                    refused.add(address)
                    another = self._another(refused)
                    if another is None:
                        raise
                    target = another
                    continue
                try:
                    await self._talk(connection, client)
                except _Silent as silent:
                    another = self._another({*refused, address})
                    if fresh or (another is None and not silent.kept):
                        raise Fault(Code.H13) from silent
                    target, fresh = another or target, True
                    continue
                return

    def _target(self, route: Route) -> Target:
        """One that may take more. Raises Fault: H11, and H22 for a websocket."""
        in_flight, targets = self._fabric.in_flight, route.targets
        if self._head.websocket and in_flight.tunnels_on((t.host, t.port) for t in targets) >= route.websockets:
            raise Fault(Code.H22)
        target = self._fabric.choose(targets)
        assert target is not None
        if in_flight.requests_on((target.host, target.port)) < route.backlog:
            return target
        least = min(targets, key=lambda target: in_flight.requests_on((target.host, target.port)))
        if in_flight.requests_on((least.host, least.port)) >= route.backlog:
            raise Fault(Code.H11)
        return least

    @property
    def _replayable(self) -> bool:
        return self._head.method in _IDEMPOTENT and not self._head.has_body and not self._head.websocket

    def _another(self, refused: set[Address]) -> Target | None:
        """A target not tried yet, by the table in force now: the one we began with may be history."""
        route = self._fabric.table.route(self._head.host)
        return self._fabric.choose(route.targets, refused) if route else None

    async def _connection(self, address: Address, fresh: bool) -> UpstreamConnection:
        upstreams = self._fabric.upstreams
        if fresh:
            upstreams.doubt(address)
        elif address in upstreams.too_few:
            upstreams.too_few.discard(address)
        elif (kept := upstreams.kept(address, once=not self._replayable)) is not None:
            self._call.connect = 0.0
            return kept
        began = self._loop.time()
        try:
            return await upstreams.connect(address, self._limits.connect)
        finally:
            self._call.connect = self._loop.time() - began

    async def _talk(self, connection: UpstreamConnection, client: ClientConnection, *, sent: bool = False) -> None:
        complete = False
        try:
            async with AsyncExitStack() as stack:
                if not sent:
                    await self._send(connection, stack)
                complete = await self._answer(connection, client)
        finally:
            if complete and self._uploaded:
                self._fabric.upstreams.keep(connection)
            else:
                connection.cut()

    async def _send(self, connection: UpstreamConnection, stack: AsyncExitStack) -> None:
        connection.begin(bodyless=self._head.method == b"HEAD")
        if self._head.has_body and not self._content.is_eof():
            connection.send(self._head_bytes)
            await stack.enter_async_context(tasks.beside(self._upload(connection)))
        else:
            connection.send(self._head_bytes + self._buffered_body())

    def _buffered_body(self) -> bytes:
        """The body where it has come in whole already, framed; no task is needed to send it."""
        if not self._head.has_body:
            return b""
        body = self._content.read_nowait(-1)
        self._uploaded = True
        if not self._head.chunked:
            return body
        return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"

    async def _upload(self, connection: UpstreamConnection) -> None:
        """Stream the request's body. A failure is kept for the reader of the answer, who is woken by the cut."""
        try:
            await self._send_body(connection)
        except TimeoutError:
            self._upload_fault = Fault(Code.H28)
        except RequestPayloadError as error:
            self._upload_fault = Fault(Code.H26)
            self._upload_fault.__cause__ = error
        except (OSError, ClientError, RuntimeError):
            return  # A side has gone: the reader of the answer learns which, and says so.
        if self._upload_fault is not None:
            connection.cut()

    async def _send_body(self, connection: UpstreamConnection) -> None:
        while True:
            self._expect_answer(False)
            async with asyncio.timeout(self._limits.idle):
                chunk = await self._content.readany()
            if not chunk:
                break
            self._last_upload = self._loop.time()
            if not connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._head.chunked else chunk):
                return
            self._expect_answer(True)
            await connection.drained()
        self._uploaded = not self._head.chunked or connection.send(b"0\r\n\r\n")
        self._expect_answer(True)

    def _expect_answer(self, expected: bool) -> None:
        """The first-byte clock runs only while it is the app we wait for."""
        if self._deadline is not None:
            self._deadline.reschedule(self._loop.time() + self._limits.first_byte if expected else None)

    async def _answer(self, connection: UpstreamConnection, client: ClientConnection) -> bool:
        """Read the answer and pass it on; True when it is complete and the connection can serve again."""
        while True:
            status, reason, raw, payload = await self._read_head(connection)
            if status == 101 and self._head.websocket:
                self._tunnel(connection, client, reason, raw)
                return False
            if status == 101:
                raise Fault(Code.H17)
            if status >= 200:
                break
            if status != 100 or self._head.expects_continue:
                self._reply.interim(status, reason, raw)
        if not self._uploaded:
            self._reply.keep_alive = False
        try:
            first = payload.read_nowait(-1)
        except _BROKEN as error:
            raise Fault(Code.H18) from error
        self._reply.begin(status, reason, raw, to_head=self._head.method == b"HEAD", first=first)
        try:
            await self._relay(connection, payload)
        except TimeoutError as error:
            raise Fault(Code.H15) from error
        self._reply.finish()
        return True

    async def _read_head(
        self, connection: UpstreamConnection
    ) -> tuple[int, str, tuple[tuple[bytes, bytes], ...], StreamReader]:
        first_byte = self._limits.first_byte
        try:
            async with asyncio.timeout(first_byte if self._uploaded else None) as self._deadline:
                message, payload = await connection.read()
        except TimeoutError as error:
            raise Fault(Code.H12) from error
        except HttpProcessingError as error:
            raise self._upload_fault or Fault(Code.H25 if _is_too_long(error) else Code.H17) from error
        except (ClientError, OSError) as error:
            if self._upload_fault is not None:
                raise self._upload_fault from error
            if connection.received == 0 and self._replayable:
                raise _Silent(connection.reused) from error
            raise Fault(Code.H13) from error
        finally:
            self._deadline = None
        return message.code, message.reason, message.raw_headers, payload

    async def _relay(self, connection: UpstreamConnection, payload: StreamReader) -> None:
        """Pass the body on as it comes. Raises TimeoutError when both sides are silent, Fault when it breaks off."""
        idle = self._limits.idle
        while True:
            if payload.at_eof():
                if connection.reset:
                    raise Fault(Code.H18)
                return
            waited_since = self._loop.time()
            try:
                async with asyncio.timeout(idle):
                    chunk = await payload.readany()
            except TimeoutError:
                if self._last_upload <= waited_since:
                    raise
                continue
            except _BROKEN as error:
                raise self._upload_fault or Fault(Code.H18) from error
            if chunk:
                async with asyncio.timeout(idle):
                    await self._reply.body(chunk)

    def _tunnel(
        self,
        connection: UpstreamConnection,
        client: ClientConnection,
        reason: str,
        raw: tuple[tuple[bytes, bytes], ...],
    ) -> None:
        """Join the two sides for as long as they last; nothing of this request but its record is kept for that."""
        self._reply.switch(reason, raw)
        to_client, from_client = client.detach()
        to_app, from_app = connection.detach()
        call, tunnel_ended = self._call, self._tunnel_ended
        if to_app is None:  # it has closed with its 101
            to_client.write(from_app)
            to_client.close()
            call.sent = len(from_app)
            return
        address, in_flight = connection.address, self._fabric.in_flight

        def ended(sent: int, closed: bool) -> None:
            in_flight.leave_tunnel(address, tunnel)
            call.sent, call.code = sent, None if closed else Code.H15
            tunnel_ended(call)

        call.goes_on = True
        tunnel = Tunnel(to_client, to_app, self._limits.idle, self._fabric.silences, ended)
        in_flight.enter_tunnel(address, tunnel)
        tunnel.begin(from_client, from_app)
