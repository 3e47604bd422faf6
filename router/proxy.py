"""From a request to its end: match the host, answer ourselves or carry it to a target, and leave exactly one line."""

import asyncio
import sys
import time
import traceback
import uuid
from dataclasses import replace

from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.web_request import BaseRequest

from router import upkeep
from router.access_log import AccessLog
from router.answers import Answer, Answers, bare
from router.call import Call
from router.client import ClientConnection, Sent
from router.codes import Code, Fault
from router.exchange import Exchange, Fabric
from router.headers import RequestHead, read_request, request_to_app
from router.lane import Lane
from router.parking import Parking
from router.passage import Handed
from router.reply import Reply
from router.table import BYPASS_PATH, Route

_REFUSED_METHODS = frozenset(("CONNECT", "TRACE"))


class Proxy:
    """Serves requests by the table in force. Once `stopping` is set, every answer asks its client to close.

    It is the careful path; `lane` is the fast one.
    """

    def __init__(self, fabric: Fabric, log: AccessLog, port: int) -> None:
        self._fabric = fabric
        self._log = log
        self._port = port
        self._answers = Answers()
        self.head_timeout = fabric.limits.first_byte
        self._parking = Parking(fabric.table, fabric.in_flight, fabric.limits.park)
        self.lane = Lane(fabric, log, port)

    @property
    def lane_hits(self) -> int:
        """How many requests took the fast lane."""
        return self.lane.hits

    @property
    def ending(self) -> bool:
        """Whether patience is over, and what is cut from now on is cut by us."""
        return self.lane.ending

    @ending.setter
    def ending(self, ending: bool) -> None:
        self.lane.ending = ending

    @property
    def stopping(self) -> bool:
        return self.lane.stopping

    @stopping.setter
    def stopping(self, stopping: bool) -> None:
        self.lane.stopping = stopping

    async def serve(self, request: BaseRequest) -> Sent:
        """Serve one request; every failure ends here."""
        client = request.protocol
        assert isinstance(client, ClientConnection)
        http11 = request.version >= HttpVersion11
        call = Call(asyncio.get_running_loop().time(), method=request.method, path=request.raw_path)
        reply = Reply(client, call, http11=http11, keep_alive=request.keep_alive and not self.stopping)
        call.protocol = client.scheme
        handed = client.take_handed()
        if handed is not None:
            call.started = handed.started
        try:
            await self._serve(request, client, call, reply, handed)
        except asyncio.CancelledError:
            if call.status != 101:
                gone = client.transport is None and not self.ending
                self._note(call, Fault(Code.H27 if gone else Code.H24))
            raise
        except ConnectionError:
            self._note(call, Fault(Code.H27))
            reply.keep_alive = False
        except Fault as fault:
            self._fail(request, call, reply, fault)
            if fault.code is Code.H26:
                client.linger()
        except Exception:
            traceback.print_exc(file=sys.stderr)
            self._fail(request, call, reply, Fault(Code.H99))
        finally:
            if handed is not None:
                handed.release()
            if not call.goes_on:
                self._ended(call)
        return Sent(keep_alive=reply.keep_alive or client.lingering)

    def _ended(self, call: Call) -> None:
        self._log.add(call.app, call.line(asyncio.get_running_loop().time()))

    def refuse(self, client: ClientConnection, fault: Fault) -> None:
        """Answer what could not be read as a request, and close."""
        call = Call(
            asyncio.get_running_loop().time(), method="UNKNOWN", request_id=str(uuid.uuid4()), fwd=client.address
        )
        call.protocol = client.scheme
        reply = Reply(client, call, http11=True, keep_alive=False)
        self._note(call, fault)
        try:
            self._answer(Answer.of(fault), call, reply, accept="text/plain", to_head=False)
        finally:
            self._log.add(None, call.line(call.started))

    async def _serve(
        self, request: BaseRequest, client: ClientConnection, call: Call, reply: Reply, handed: Handed | None
    ) -> None:
        call.request_id, call.fwd = handed.request_id if handed else str(uuid.uuid4()), client.address
        if request.version not in (HttpVersion10, HttpVersion11):
            raise Fault(Code.H26, "This version of HTTP is not spoken here: use HTTP/1.1.")
        if request.method in _REFUSED_METHODS:
            raise Fault(Code.H26, f"{request.method} is not served here: use another method.", 405)
        head = read_request(request.method, request.raw_path, request.version >= HttpVersion11, request.raw_headers)
        self._describe(call, head)
        sent = handed is not None and (handed.connection is not None or handed.fault is not None)
        route = handed.route if handed is not None and sent else await self._admitted(head, client.address)
        if route is None:
            message = "There is no app at this address: check its name, or create it."
            answer = Answer(404, "not_found", message, "no_such_app")
            self._answer(answer, call, reply, request.headers.get("Accept", ""), to_head=request.method == "HEAD")
            return
        call.app, call.app_name = route.app, route.name
        if not sent:
            if route.hold is not None or route.maintenance:
                if self._upkept(route, head, client.address, call, reply):
                    return
                head = upkeep.without_cookie(head)
            if not route.targets:
                raise Fault(Code[route.no_target_code])
        head_bytes = request_to_app(
            head,
            client=client.address.encode(),
            scheme=client.scheme.encode(),
            port=self._port,
            request_id=call.request_id.encode(),
            started_ms=int(time.time() * 1000),
        )
        exchange = Exchange(self._fabric, route, call, head, head_bytes, request.content, reply, self._ended)
        if handed is not None and sent:
            await exchange.resume(handed, client)
        else:
            await exchange.run(route, client, handed)

    def _describe(self, call: Call, head: RequestHead) -> None:
        call.host = head.host
        call.path = head.target.decode("utf-8", "surrogateescape")
        if head.request_id is not None:
            call.request_id = head.request_id.decode()
        if head.forwarded_for:
            call.fwd = f"{head.forwarded_for.decode('utf-8', 'surrogateescape')}, {call.fwd}"

    async def _admitted(self, head: RequestHead, address: str) -> Route | None:
        """The route to go by, once a dyno that starts is there, or a pause is over."""
        route = await self._parking.route(head.host)
        seconds = upkeep.pause_left(route, head, address, time.time())
        if seconds <= 0:
            return route

        def still(route: Route | None) -> bool:
            return upkeep.pause_left(route, head, address, time.time()) > 0

        await self._parking.paused(head.host, still, seconds)
        return await self._parking.route(head.host)

    def _upkept(self, route: Route, head: RequestHead, address: str, call: Call, reply: Reply) -> bool:
        """Whether the request was about maintenance itself, and is answered. Raises Fault unless it may go on."""
        now = time.time()
        if upkeep.is_link(route, head):
            call.path = BYPASS_PATH
        link = upkeep.take_link(route, head, now)
        if link is not None:
            lines = (f"Location: {link.location}", f"Set-Cookie: {link.cookie}")
            reply.whole(bare(303, b"", *lines, keep_alive=reply.keep_alive), 303, 0)
        elif upkeep.answers_health(route, head, now):
            body, to_head = b"ok\n", head.method == b"HEAD"
            data = bare(200, body, to_head=to_head, keep_alive=reply.keep_alive)
            reply.whole(data, 200, 0 if to_head else len(body))
        elif upkeep.lets_in(route, head, address, now):
            return False
        else:
            raise Fault(Code.H80)
        return True

    def _note(self, call: Call, fault: Fault) -> None:
        call.code, call.status = fault.code, fault.status

    def _fail(self, request: BaseRequest, call: Call, reply: Reply, fault: Fault) -> None:
        """Answer with the fault where an answer can still be given; else cut."""
        if reply.begun or fault.status == 499:
            reply.cut()
        else:
            if fault.code is Code.H26:
                reply.keep_alive = False
            try:
                accept = request.headers.get("Accept", "")
                answer = self._of_app(Answer.of(fault), call)
                self._answer(answer, call, reply, accept, to_head=request.method == "HEAD")
            except ConnectionError:
                fault = Fault(Code.H27)
                reply.keep_alive = False
        self._note(call, fault)

    def _of_app(self, answer: Answer, call: Call) -> Answer:
        """The answer with what its app has to say of it: its own page, and when it will be back."""
        route = self._fabric.table.route(call.host) if call.app is not None else None
        if route is None or answer.status < 500:
            return answer
        if answer.page == "maintenance":
            own, back_in = route.maintenance_page, upkeep.back_in(route, time.time())
        else:
            own, back_in = route.error_page if answer.page != "blank" else "", None
        return replace(answer, own=self._fabric.table.pages.get(own) if own else None, back_in=back_in)

    def _answer(self, answer: Answer, call: Call, reply: Reply, accept: str, *, to_head: bool) -> None:
        data, body_bytes = self._answers.render(
            answer,
            accept=accept,
            app=call.app_name or call.host,
            request_id=call.request_id,
            to_head=to_head,
            keep_alive=reply.keep_alive,
        )
        reply.whole(data, answer.status, body_bytes)
