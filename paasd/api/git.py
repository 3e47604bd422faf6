"""git over HTTP (the "smart" protocol) at /<app>.git: who asks is checked here, the rest is git's own programs.

Bodies stream both ways at the pace of the slower side; when the client goes away, git and its hook are ended.
"""

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

import structlog
from aiohttp import ClientPayloadError, web

from paasd.api.git_advice import Advice, refused
from paasd.api.hook import HookServer
from paasd.domain.access import Account, Actor, Permission, Scope, Token
from paasd.domain.app import App
from paasd.domain.errors import Forbidden, NotFound, PaasError, Unauthorized, Unavailable
from paasd.failpoints import Failpoints

log = structlog.get_logger(__name__)

RECEIVE, UPLOAD = "git-receive-pack", "git-upload-pack"
PROTOCOL = re.compile(r"[a-z0-9=:.-]{1,64}")
CHUNK_BYTES = 64 * 1024
FETCH_REQUEST_BYTES = 64 * 1024**2  # wants and haves, unpacked
SILENT_SECONDS = 300.0  # a client that is to send and does not
LAST_SECONDS = 10.0  # from a process's last output to its end
SAID_BYTES = 8 * 1024
NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate", "Pragma": "no-cache"}
STATUSES: tuple[tuple[type[PaasError], int], ...] = (
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Unavailable, 503),
)
NEEDED = {
    RECEIVE: (Permission.DEPLOY, Scope.WRITE_PROTECTED),
    UPLOAD: (Permission.VIEW, Scope.READ),
}


class Child(Protocol):
    """A git service that runs."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    async def wait(self, timeout: float) -> int:
        """Its exit code; TimeoutError after so many seconds."""
        ...


class Repositories(Protocol):
    """Where git's services run."""

    def serve(
        self, app_id: str, service: str, *, advertise: bool, environment: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Child]:
        """One service for one request; on leaving it is ended with its children."""
        ...


class GitHttp:
    """The routes of git. `authenticate` takes a token and raises Unauthorized, `find_app` a name and NotFound;
    `admit` raises NotFound or Forbidden for who may not, `record` keeps that somebody pushed, `room` raises DiskFull
    where a push could not be taken: asked before git sends anything, since its own words for that help nobody."""

    def __init__(
        self,
        authenticate: Callable[[str], Awaitable[tuple[Account, Token]]],
        find_app: Callable[[str], Awaitable[App]],
        admit: Callable[[Account, Token, App, Permission, Scope], Awaitable[None]],
        record: Callable[[App, Actor], Awaitable[None]],
        repositories: Repositories,
        hook: HookServer,
        failpoints: Failpoints | None = None,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._find_app = find_app
        self._admit_to = admit
        self._record = record
        self._repositories = repositories
        self._hook = hook
        self._failpoints = failpoints or Failpoints()
        self._room = room

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application."""
        repository = "/{app:[^/]+}.git"
        return [
            web.get(f"{repository}/info/refs", self.advertise, allow_head=False),
            web.post(f"{repository}/{RECEIVE}", self.receive_pack),
            web.post(f"{repository}/{UPLOAD}", self.upload_pack),
        ]

    async def advertise(self, request: web.Request) -> web.StreamResponse:
        """GET info/refs?service=…: the refs that are there."""
        service = request.query.get("service", "")
        if service not in (RECEIVE, UPLOAD):
            return web.Response(status=403, text="This git is too old for paasd; use git 1.6.6 or newer.\n")
        response = _response(f"application/x-{service}-advertisement")
        try:
            app, _ = await self._admit(request, service)
            if service == RECEIVE and self._room is not None:
                await self._room()
            protocol = _protocol(request, service)
            greeting = b"" if "version=2" in protocol.get("GIT_PROTOCOL", "").split(":") else _greeting(service)
            async with self._repositories.serve(app.id, service, advertise=True, environment=protocol) as child:
                return await _converse(request, response, child, greeting=greeting)
        except PaasError as error:
            return _cut(request, response, error) if response.prepared else _refusal(error)

    async def receive_pack(self, request: web.Request) -> web.StreamResponse:
        """A push. Its deploy runs inside the hook that git-receive-pack calls."""
        response = _response(f"application/x-{RECEIVE}-result")
        try:
            app, actor = await self._admit(request, RECEIVE)
            _check_type(request, RECEIVE)
        except PaasError as error:
            return _refusal(error)
        try:
            await self._record(app, actor)
            with self._hook.expect(app, actor) as variables:
                async with self._repositories.serve(app.id, RECEIVE, advertise=False, environment=variables) as child:
                    begun = partial(self._failpoints.reach, "receive-pack")
                    return await _converse(request, response, child, begun=begun, advice=Advice())
        except PaasError as error:
            return _cut(request, response, error) if response.prepared else await _refused(request, response, error)

    async def upload_pack(self, request: web.Request) -> web.StreamResponse:
        """A clone or a fetch."""
        response = _response(f"application/x-{UPLOAD}-result")
        try:
            app, _ = await self._admit(request, UPLOAD)
            _check_type(request, UPLOAD)
            protocol = _protocol(request, UPLOAD)
            async with self._repositories.serve(app.id, UPLOAD, advertise=False, environment=protocol) as child:
                return await _converse(request, response, child, limit=FETCH_REQUEST_BYTES)
        except PaasError as error:
            return _cut(request, response, error) if response.prepared else _refusal(error)

    async def _admit(self, request: web.Request, service: str) -> tuple[App, Actor]:
        account, token = await self._authenticate(_token(request))
        app = await self._find_app(request.match_info["app"])
        await self._admit_to(account, token, app, *NEEDED[service])
        return app, Actor(account.id, account.email, token.name, request.remote or "unknown")


async def _converse(
    request: web.Request,
    response: web.StreamResponse,
    child: Child,
    *,
    greeting: bytes = b"",
    limit: int | None = None,
    begun: Callable[[], Awaitable[None]] | None = None,
    advice: Advice | None = None,
) -> web.StreamResponse:
    """The request's body to the process, its output to the response, until both are over."""
    said = bytearray()
    try:
        await response.prepare(request)
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(child, said))
            group.create_task(_feed(request, child, limit, begun))
            await _relay(child, response, greeting, advice)
            code = await child.wait(LAST_SECONDS)
            if code:
                log.warning("git ended badly", path=request.path, code=code, said=said.decode("utf-8", "replace"))
    except* (ConnectionError, ClientPayloadError, TimeoutError) as gone:
        log.info("a git client went away", path=request.path, reason=repr(gone.exceptions[0]))
        _hang_up(request)
    return response


async def _feed(
    request: web.Request, child: Child, limit: int | None, begun: Callable[[], Awaitable[None]] | None
) -> None:
    """What git no longer reads (it has refused the pack) is thrown away, so that the client comes to hear why."""
    taken, reads = 0, True
    while True:
        chunk = await _next_chunk(request)
        if not chunk:
            break
        taken += len(chunk)
        if limit is not None and taken > limit:
            raise ConnectionAbortedError("a request longer than any that git makes")
        if reads:
            try:
                child.stdin.write(chunk)
                await child.stdin.drain()
            except ConnectionError:
                reads = False
        if begun is not None:
            await begun()
            begun = None
    with contextlib.suppress(OSError):  # it is gone already
        child.stdin.write_eof()


async def _relay(child: Child, response: web.StreamResponse, greeting: bytes, advice: Advice | None) -> None:
    if greeting:
        await response.write(greeting)
    while chunk := await child.stdout.read(CHUNK_BYTES):
        if advice is not None:
            chunk = advice.passed(chunk)
        if chunk:
            await response.write(chunk)
    if advice is not None and (rest := advice.rest()):
        await response.write(rest)


async def _listen(child: Child, said: bytearray) -> None:
    while chunk := await child.stderr.read(CHUNK_BYTES):
        said += chunk[: SAID_BYTES - len(said)]


def _cut(request: web.Request, response: web.StreamResponse, error: PaasError) -> web.StreamResponse:
    """An answer that has begun can't become another."""
    log.warning("a git service broke off", path=request.path, reason=error.message)
    _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    """An answer cut short must not look like a whole one."""
    if request.transport is not None:
        request.transport.abort()


def _token(request: web.Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value
    if scheme.lower() == "basic":
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            password = base64.b64decode(value, validate=True).decode().partition(":")[2]
            if password:
                return password
    raise Unauthorized("A token is needed; run `paas git:remote -a APP` in this repository to set it up.")


def _refusal(error: PaasError) -> web.Response:
    """git prints a plain text body as `remote:` lines."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 422)
    headers = dict(NO_CACHE)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="paasd"'
    return web.Response(status=status, text=f"{error.message}\n", headers=headers)


async def _refused(request: web.Request, response: web.StreamResponse, error: PaasError) -> web.StreamResponse:
    """Once git has sent all that it has to send: it listens only then."""
    try:
        await response.prepare(request)
        while await _next_chunk(request):
            pass
        await response.write(refused(error.message))
    except (ConnectionError, ClientPayloadError, TimeoutError) as gone:
        log.info("a git client went away", path=request.path, reason=repr(gone))
        _hang_up(request)
    return response


async def _next_chunk(request: web.Request) -> bytes:
    async with asyncio.timeout(SILENT_SECONDS):
        return await request.content.readany()


def _response(content_type: str) -> web.StreamResponse:
    return web.StreamResponse(headers={**NO_CACHE, "Content-Type": content_type})


def _check_type(request: web.Request, service: str) -> None:
    if request.content_type != f"application/x-{service}-request":
        raise web.HTTPUnsupportedMediaType(text=f"Send application/x-{service}-request; or use git.\n")


def _protocol(request: web.Request, service: str) -> dict[str, str]:
    """Newer protocols are for fetching only."""
    wanted = request.headers.get("Git-Protocol", "")
    return {"GIT_PROTOCOL": wanted} if service == UPLOAD and PROTOCOL.fullmatch(wanted) else {}


def _greeting(service: str) -> bytes:
    line = f"# service={service}\n"
    return f"{len(line) + 4:04x}{line}0000".encode()
