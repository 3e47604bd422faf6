"""A client's connection under TLS, in the shape of a plain one: the protocol above it reads and writes as before.

It is put between the two when a connection's first byte is a TLS record's: plain connections know nothing of it.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

TLS_HANDSHAKE = b"\x16"
_HANDSHAKE_SECONDS = 30.0
_READ_BYTES = 256 * 1024


class Sealed(asyncio.Transport, asyncio.Protocol):
    """The transport of `client` and the protocol of `raw`: bytes are encrypted one way and decrypted the other."""

    def __init__(self, raw: asyncio.Transport, client: asyncio.Protocol, context: ssl.SSLContext) -> None:
        super().__init__()
        self._raw = raw
        self._client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._loop = asyncio.get_running_loop()
        self._overdue: asyncio.TimerHandle | None = self._loop.call_later(_HANDSHAKE_SECONDS, raw.abort)
        self._paused = False
        self._said_goodbye = False
        raw.set_protocol(self)

    # As the raw connection's protocol.

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self._overdue is None or self._shake_hands():
            self._read()

    def eof_received(self) -> bool | None:
        return self._client.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        self._client.connection_lost(exc)

    def pause_writing(self) -> None:
        self._client.pause_writing()

    def resume_writing(self) -> None:
        self._client.resume_writing()

    def _shake_hands(self) -> bool:
        """Whether the session is there now."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ssl.CertificateError):
            self._flush()  # the alert that says why
            self._raw.close()
            return False
        assert self._overdue is not None
        self._overdue.cancel()
        self._overdue = None
        self._flush()
        return True

    def _read(self) -> None:
        try:
            while not self._paused and not self._said_goodbye:
                data = self._session.read(_READ_BYTES)
                if not data:
                    raise ssl.SSLZeroReturnError
                self._client.data_received(data)
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            if not self._client.eof_received():
                self.close()
        except ssl.SSLError:
            self._raw.abort()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    # As the client's transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._overdue is not None or self._said_goodbye or self._raw.is_closing():
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._session.write(view) :]
        except ssl.SSLError:
            self._raw.abort()
            return
        self._flush()

    def close(self) -> None:
        self._say_goodbye()
        self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say that no more comes, by TLS and by TCP."""
        self._say_goodbye()
        self._raw.write_eof()

    def _say_goodbye(self) -> None:
        if self._said_goodbye or self._overdue is not None:
            return
        self._said_goodbye = True
        with suppress(ssl.SSLError):  # it waits for the client's own goodbye, which we do not
            self._session.unwrap()
        self._flush()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._raw.resume_reading()
            self._loop.call_soon(self._go_on)  # what was decrypted already comes by no event

    def _go_on(self) -> None:
        if self._overdue is None and not self._raw.is_closing():
            self._read()

    def is_reading(self) -> bool:
        return not self._paused

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._session if name == "ssl_object" else self._raw.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._raw.get_write_buffer_limits()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol read from now on."""
        assert isinstance(protocol, asyncio.Protocol)
        self._client = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._client
