"""BuildKit's session: over it the engine asks for the secrets that a build's steps mount, and they go nowhere else.

The engine is the client of gRPC over HTTP/2 on a connection that we opened; two calls of it are answered.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from paasd.adapters.docker_api import DockerApi, translated
from paasd.domain.errors import BuildFailed

GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105 (a call's name)
HEALTH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
FRAME_BYTES = 16_000
SECRET_BYTES = 60_000  # what HTTP/2 lets through at once
NOT_FOUND, UNIMPLEMENTED = "5", "12"


@asynccontextmanager
async def secrets_session(api: DockerApi, secrets: Mapping[str, bytes]) -> AsyncIterator[str]:
    """A session's id for the build to name, as long as it is open. BuildFailed for a secret that is too long."""
    for name, value in secrets.items():
        if len(value) > SECRET_BYTES:
            raise BuildFailed(f"{name} has {len(value)} bytes; a build can be given {SECRET_BYTES} as a secret.")
    session = uuid.uuid4().hex
    connection = await api.connect()
    endpoint, loop = connection.endpoint, asyncio.get_running_loop()
    answers = SessionProtocol(secrets, session, f"/v{connection.api_version}/session", loop.create_future())
    with translated(endpoint.url):
        async with asyncio.timeout(api.call_timeout):
            if endpoint.socket is not None:
                transport, _ = await loop.create_unix_connection(lambda: answers, endpoint.socket)
            else:
                host, _, port = endpoint.base.rpartition("//")[2].rpartition(":")
                transport, _ = await loop.create_connection(lambda: answers, host, int(port), ssl=endpoint.tls)
            try:
                await answers.taken
            except BaseException:
                transport.close()
                raise
    try:
        yield session
    finally:
        transport.close()


class SessionProtocol(asyncio.Protocol):
    """Asks for the session, then answers the engine's calls. `taken` is done once the engine has agreed."""

    def __init__(self, secrets: Mapping[str, bytes], session: str, path: str, taken: "asyncio.Future[None]") -> None:
        self.taken = taken
        self._secrets = secrets
        self._session = session
        self._path = path
        self._head: bytes | None = b""  # None: it was read
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._calls: dict[int, tuple[str, bytearray]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the session."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not told by their class
        methods = "".join(f"X-Docker-Expose-Session-Grpc-Method: {name}\r\n" for name in (GET_SECRET, HEALTH))
        self._transport.write(
            f"POST {self._path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            f"Content-Length: 0\r\nX-Docker-Expose-Session-Uuid: {self._session}\r\n"
            f"X-Docker-Expose-Session-Name: paasd\r\n{methods}\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The engine went away before it agreed, or the build is over."""
        if not self.taken.done():
            self.taken.set_exception(ConnectionError("it hung up"))

    def data_received(self, data: bytes) -> None:
        """The answer to the asking, then HTTP/2."""
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = None
            if head.split(b" ", 2)[1:2] != [b"101"]:
                self.taken.set_exception(ConnectionError("it gives no build session"))
                return
            self._http.initiate_connection()
            self.taken.set_result(None)
        try:
            for event in self._http.receive_data(data):
                self._heed(event)
        except ProtocolError:
            self._close()
            return
        self._send()

    def _heed(self, event: object) -> None:
        if isinstance(event, RequestReceived):
            path = next((str(value) for name, value in event.headers if str(name) == ":path"), "")
            self._calls[event.stream_id] = (path, bytearray())
        elif isinstance(event, DataReceived):
            self._calls[event.stream_id][1].extend(event.data)
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            path, body = self._calls.pop(event.stream_id)
            self._answer(event.stream_id, path, bytes(body[5:]))  # behind gRPC's own five bytes

    def _answer(self, stream: int, path: str, message: bytes) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if path == HEALTH:
            found: bytes | None = SERVING
        else:
            secret = self._secrets.get(read_field(message)) if path == GET_SECRET else None
            found = write_field(secret) if secret is not None else None
        if found is None:
            status = NOT_FOUND if path == GET_SECRET else UNIMPLEMENTED
            self._http.send_headers(stream, [*head, ("grpc-status", status)], end_stream=True)
            return
        self._http.send_headers(stream, head)
        body = b"\0" + len(found).to_bytes(4, "big") + found
        for start in range(0, len(body), FRAME_BYTES):
            self._http.send_data(stream, body[start : start + FRAME_BYTES])
        self._http.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    def _send(self) -> None:
        if self._transport is not None and (data := self._http.data_to_send()):
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def read_field(message: bytes) -> str:
    """The text of a protobuf message's first field, "" when it has none."""
    if message[:1] != b"\x0a":
        return ""
    length, at = 0, 1
    for shift in range(0, 35, 7):
        byte = message[at]
        length |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            break
    return message[at : at + length].decode(errors="replace")


def write_field(value: bytes) -> bytes:
    """A protobuf message with these bytes as its first field."""
    length, varint = len(value), bytearray()
    while length >= 0x80:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    varint.append(length)
    return b"\x0a" + bytes(varint) + value
