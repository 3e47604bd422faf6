"""The line to a Docker Engine: short calls by the SDK in a few threads, streams by aiohttp without a thread.

Vendor errors leave this module as Refused (the engine said no) or plain EngineUnavailable (it said nothing).
"""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any
from urllib.parse import unquote

import aiohttp

from paasd.domain.errors import EngineUnavailable

IDLE_SECONDS = 3.0
ASKING = 8  # connections for what only asks: a round asks of all dynos at once, however many there are
_IMPORTING = threading.Lock()


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """How the engine is used. A None asks the machine: `host` by Docker's own rules, the others by what is found."""

    host: str | None = None  # "unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"
    subnet_pool: str = "10.213.0.0/16"
    subnet_prefix: int = 26
    threads: int = 8
    call_timeout: float = 30.0  # seconds; clients of ours give up after 60
    read_timeout: float = 10.0  # for what only asks
    log_max_size: str = "10m"
    log_max_files: int = 3
    build_memory: int = 2 * 1024**3  # bytes, of each step of a build; of BuildKit's, all builds have that together
    build_pids: int = 1024
    build_cpus: float | None = None
    builds: int = 2  # at once
    buildkit: bool | None = None
    publish_ports: bool | None = None
    cache_secret: bytes = field(default_factory=lambda: token_bytes(32), repr=False)  # see docker_caches.namespace


class Refused(EngineUnavailable):
    """The engine answered with an error. `status` is HTTP's, `words` are its own."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"Docker refused: {words.rstrip('.')}; see `paasd doctor` for what may be wrong with it.")
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the engine listens. `url` is as the user wrote it, `base` what HTTP requests start with."""

    url: str
    base: str
    socket: str | None  # path of a unix socket
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """An engine that has answered once: the SDK's client, a session for streams, and one for what only asks."""

    client: Any
    streams: aiohttp.ClientSession
    asking: aiohttp.ClientSession
    endpoint: Endpoint
    api_version: str

    async def close(self) -> None:
        """Requests under way fail."""
        await self.streams.close()
        await self.asking.close()
        self.client.close()


class DockerApi:
    """One engine. Connects on first use, again after a failure; every request has a deadline."""

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="docker")
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    @property
    def call_timeout(self) -> float:
        """Seconds that a call may take."""
        return self._settings.call_timeout

    async def connect(self) -> Connection:
        """The connection, made if there is none yet."""
        async with self._connecting:
            if self._connection is None:
                self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> Connection:
        arguments, endpoint = await self._in_thread(lambda: _find_engine(self._settings))
        asking = _session(endpoint, ASKING)
        try:
            with translated(endpoint.url):
                async with asyncio.timeout(self._settings.call_timeout):
                    async with asking.get(f"{endpoint.base}/version") as reply:
                        api_version = _api_version(await reply.read())
            client = await self._in_thread(lambda: _open_client(arguments, endpoint.url, api_version, self._settings))
        except BaseException:
            await asking.close()
            raise
        return Connection(client, _session(endpoint, 0), asking, endpoint, api_version)

    async def close(self) -> None:
        """Let go of all connections; requests under way fail."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What the SDK's low-level client answers. A call once begun is seen to its end even when cancelled."""
        connection = await self.connect()

        def work() -> Any:
            with translated(connection.endpoint.url):
                _knock(connection.endpoint)
                return getattr(connection.client, method)(*args, **kwargs)

        return await self._in_thread(work)

    async def get(self, path: str, *, timeout: float | None = None, **params: str) -> Any:
        """The JSON at a path; `timeout` in seconds, where the answer may take long."""
        timeout = timeout or self._settings.read_timeout
        session = (await self.connect()).asking
        async with self._request(session, "GET", path, params=params, timeout=timeout) as response:
            body = await self._read(response, timeout)
        with translated(self._url):
            return json.loads(body)

    async def post(self, path: str, *, timeout: float | None = None, **params: str) -> bytes:
        """Post without a body; `timeout` in seconds, where the answer may take long."""
        async with self.stream("POST", path, params=params, timeout=timeout) as response:
            return await self._read(response, timeout or self._settings.call_timeout)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: AsyncIterable[bytes] | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request whose answer is read by `chunks`. The deadline is for its beginning only."""
        session = (await self.connect()).streams
        async with self._request(session, method, path, params=params, data=data, timeout=timeout) as response:
            yield response

    @asynccontextmanager
    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        timeout: float | None,
        data: AsyncIterable[bytes] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if ".." in unquote(path.partition("?")[0]).split("/"):  # of a name that is none: it would lead to another thing
            raise EngineUnavailable(f"{path[:200]!a} can't be asked of Docker: the name in it leads elsewhere.")
        connection = await self.connect()
        url = f"{connection.endpoint.base}/v{connection.api_version}{path}"
        headers = {"Content-Type": "application/x-tar"} if data is not None else {}
        with translated(self._url):
            async with asyncio.timeout(timeout or self._settings.call_timeout):
                response = await session.request(method, url, params=params, data=data, headers=headers)
        try:
            if response.status >= 400:
                words = await self._read(response, self._settings.call_timeout)
                raise Refused(response.status, _words(words) or str(response.reason))
            yield response
        finally:
            response.close()

    async def chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """A body as it comes. Only reading is guarded: what the reader of these does wrong stays its own."""
        while True:
            with translated(self._url):
                chunk = await response.content.readany()
            if not chunk:
                return
            yield chunk

    async def _read(self, response: aiohttp.ClientResponse, timeout: float) -> bytes:
        with translated(self._url):
            async with asyncio.timeout(timeout):
                return await response.read()

    @property
    def _url(self) -> str:
        return self._connection.endpoint.url if self._connection is not None else "its socket"

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # so that none goes unread
        deadline = self._settings.call_timeout + 10  # the SDK has its own, shorter one; this adds waiting for a thread
        try:
            await asyncio.wait({future}, timeout=deadline)
        except asyncio.CancelledError:
            # What undoes this call must find its result: never leave it running behind a cancellation.
            await asyncio.wait({future}, timeout=deadline)
            raise
        if not future.done():
            future.cancel()
            raise EngineUnavailable(
                f"Docker did not answer within {deadline:.0f} seconds; run `paasd doctor` to see what is wrong."
            )
        return future.result()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Vendor errors become ours: the one place where they do."""
    import requests

    docker = _sdk()
    try:
        yield
    except docker.errors.APIError as error:
        raise Refused(error.status_code or 500, str(error.explanation or error)) from error
    except (docker.errors.DockerException, requests.RequestException, aiohttp.ClientError, OSError) as error:
        raise EngineUnavailable(_why(url, error)) from error
    except ValueError as error:
        raise EngineUnavailable(
            f"Docker at {url} gave an answer that can't be read ({error}); check its version."
        ) from error


@contextmanager
def sensible() -> Iterator[None]:
    """What looks like an answer, but lacks what every such answer has, is none."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EngineUnavailable(
            f"Docker gave an answer that can't be read ({error!r:.80}); run `paasd doctor` to see what is wrong."
        ) from error


def _session(endpoint: Endpoint, limit: int) -> aiohttp.ClientSession:
    """At most so many connections at a time (0: any number); a request waits for one as part of its deadline."""
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(endpoint.socket, limit=limit, keepalive_timeout=IDLE_SECONDS)
        if endpoint.socket is not None
        else aiohttp.TCPConnector(limit=limit, ssl=endpoint.tls or True, keepalive_timeout=IDLE_SECONDS)
    )
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))


def _knock(endpoint: Endpoint) -> None:
    """OSError when nobody listens: found here, since the SDK leaves the socket of a failed attempt open."""
    if endpoint.socket is not None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(5)
            knocking.connect(endpoint.socket)


def _api_version(body: bytes) -> str:
    found = json.loads(body)
    if not isinstance(found, dict) or "ApiVersion" not in found:
        raise ValueError("no ApiVersion in it")
    return str(found["ApiVersion"])


def _why(url: str, error: Exception) -> str:
    text = str(error)
    if isinstance(error, PermissionError) or "Permission denied" in text:
        return f"This user may not talk to Docker at {url}; add it to the group `docker` and log in again."
    if isinstance(error, TimeoutError) or "timed out" in text.lower():
        return f"Docker at {url} did not answer in time; run `paasd doctor` to see what is wrong."
    return f"Docker does not answer at {url}; start it, or run `paasd doctor` to see what is wrong."


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:300].decode(errors="replace").strip()


def _sdk() -> Any:
    """The module `docker`: 7.6 MiB with all it brings, so only once there is something to ask.

    Imported by one thread at a time. Its parts import each other, and of two threads within them one finds half a
    module; what it leaves behind is a `docker` without `errors` for as long as the process lives.
    """
    with _IMPORTING:
        import docker.context
        import docker.errors
        import docker.utils
    return docker


def _find_engine(settings: DockerSettings) -> tuple[dict[str, Any], Endpoint]:
    docker = _sdk()
    arguments = _docker_rules() if settings.host is None else {"base_url": settings.host}
    url = str(arguments.pop("base_url", None) or "unix:///var/run/docker.sock")
    if url.startswith("ssh://"):
        raise EngineUnavailable(f"paasd can't use Docker over SSH ({url}); give it an engine on this machine.")
    with translated(url):
        base = str(docker.utils.parse_host(url, tls=bool(arguments.get("tls"))))
    if base.startswith("http+unix://"):
        return arguments, Endpoint(url, "http://docker", "/" + base.removeprefix("http+unix://").lstrip("/"))
    return arguments, Endpoint(url, base, None, _ssl_context(arguments.get("tls")))


def _open_client(arguments: Mapping[str, Any], url: str, api_version: str, settings: DockerSettings) -> Any:
    with translated(url):
        return _sdk().APIClient(base_url=url, version=api_version, timeout=int(settings.call_timeout), **arguments)


def _docker_rules() -> dict[str, Any]:
    """DOCKER_HOST and its like, else the docker CLI's current context."""
    docker = _sdk()
    arguments: dict[str, Any] = dict(docker.utils.kwargs_from_env())
    if "base_url" in arguments:
        return arguments
    try:
        context = docker.context.ContextAPI.get_current_context()
    except (docker.errors.DockerException, OSError, ValueError):
        return arguments
    if context is not None and context.Host:
        arguments = {"base_url": context.Host}
        if context.TLSConfig:
            arguments["tls"] = context.TLSConfig
    return arguments


def _ssl_context(tls: Any) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(cafile=tls.ca_cert or None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context
