"""Receivers of log drains, on real sockets: syslog over TCP and TLS by octet count (RFC 6587), and Logplex's over
HTTPS. They can be killed, and come back at the same port."""

import asyncio
import datetime
import ipaddress
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# RFC 5424, section 6; Logplex's frames have no structured data.
HEAD = r"<(?P<priority>\d{1,3})>1 (?P<at>\S+) (?P<host>\S+) (?P<app>\S+) (?P<process>\S+) - "
SYSLOG = re.compile(HEAD + r"- (?P<text>.*)", re.DOTALL)
LOGPLEX = re.compile(HEAD + r"(?P<text>.*)\n", re.DOTALL)


@dataclass(frozen=True)
class Message:
    """One frame, taken apart."""

    priority: int
    at: str
    host: str
    app: str
    process: str
    text: str


def unframed(data: bytes, form: "re.Pattern[str]") -> tuple[list[Message], bytes]:
    """All whole messages, and what is left; AssertionError for what is no frame."""
    found: list[Message] = []
    while True:
        count, space, rest = data.partition(b" ")
        assert not space or count.isdigit(), data[:100]
        if not space or len(rest) < int(count):
            return found, data
        read = form.fullmatch(rest[: int(count)].decode())
        assert read is not None, rest[: int(count)]
        found.append(Message(int(read[1]), *read.groups()[1:]))
        data = rest[int(count) :]


@dataclass
class Receiver:
    """`texts` of all that came, each time that it did. It listens at 127.0.0.1 while it is up."""

    context: ssl.SSLContext | None = None
    port: int = 0
    messages: list[Message] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    def seen(self, text: str) -> bool:
        return any(text in message.text for message in self.messages)


@dataclass
class SyslogReceiver(Receiver):
    """Reads all that comes while `reading` is set."""

    reading: asyncio.Event = field(default_factory=lambda: _set(asyncio.Event()))
    connections: int = 0
    _server: "asyncio.Server | None" = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"syslog{'+tls' if self.context else ''}://127.0.0.1:{self.port}"

    async def up(self) -> "SyslogReceiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def down(self, *, reset: bool = False) -> None:
        """Hang up, and listen no more. With `reset` what was not read yet is thrown away, as when it is killed."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            if reset:
                plain = writer.get_extra_info("socket")
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        rest = b""
        try:
            while await self.reading.wait() and not writer.is_closing() and (data := await reader.read(65536)):
                found, rest = unframed(rest + data, SYSLOG)
                self.messages += found
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@dataclass
class LogplexReceiver(Receiver):
    """Answers with the next of `answers`, then 204. Only what it answered with a 2xx counts as come."""

    answers: list[int] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    _runner: "web.AppRunner | None" = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}/logs"

    async def up(self) -> "LogplexReceiver":
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/logs", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.context, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def down(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        found, rest = unframed(await request.read(), LOGPLEX)
        assert not rest and len(found) == int(request.headers["Logplex-Msg-Count"])
        assert request.content_type == "application/logplex-1"
        self.frames.append(request.headers["Logplex-Frame-Id"])
        self.headers.append(dict(request.headers))
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            self.messages += found
        return web.Response(status=status)


def _set(event: asyncio.Event) -> asyncio.Event:
    event.set()
    return event


def authority(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the file of the certificate to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver of log drains")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = directory / "receiver.pem", directory / "receiver.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return context, certificate
