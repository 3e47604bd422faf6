"""The client's end of a rendezvous: TLS to the daemon, a secret, then bytes both ways until the command ends."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from paasd.cli.errors import CliError, Unreachable

ASKS_STATUS = ' ; echo "\uffff heroku-command-exit-status: $?"'
STATUS = re.compile("\uffff heroku-command-exit-status: (-?\\d+)\\n".encode() + rb"\Z")
BEGUN = "\uffff".encode()[:1]
STATUS_BYTES = 64  # no longer is what tells the status, which is the last that comes
GREETING = b"rendezvous"
CONNECT_SECONDS = 10.0
CHUNK_BYTES = 64 * 1024
END_OF_INPUT = b"\x04"


def on_terminal() -> bool:
    """Whether somebody types: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def environment(terminal: bool) -> dict[str, object]:
    """What the command's own terminal is to be like."""
    if not terminal:
        return {}
    size = os.get_terminal_size()
    return {"TERM": "xterm-256color", "COLUMNS": size.columns, "LINES": size.lines}


def attach(url: str, authority: Path | None, *, terminal: bool) -> int | None:
    """Talk to the command behind `url` until it ends; its exit status, None where none was told.

    `authority`: the certificate that the daemon's own is to be trusted by. Raises CliError.
    """
    with _connected(url, authority) as line:
        if terminal:
            with _raw(sys.stdin.fileno()):
                return _talk(line)
        return _talk(line)


@contextlib.contextmanager
def _connected(url: str, authority: Path | None) -> Iterator[ssl.SSLSocket]:
    found = urlsplit(url)
    host, port = found.hostname or "", found.port or 443
    trust = ssl.create_default_context(cafile=str(authority) if authority is not None else None)
    try:
        with (
            socket.create_connection((host, port), CONNECT_SECONDS) as plain,
            trust.wrap_socket(plain, server_hostname=host) as line,
        ):
            line.sendall(found.path.rpartition("/")[2].encode() + b"\r\n")
            if not line.recv(CHUNK_BYTES).startswith(GREETING):
                raise CliError("The daemon did not let us in: run the command again.")
            line.settimeout(None)
            yield line
    except ssl.SSLCertVerificationError as error:
        raise CliError(
            f"The certificate of {host}:{port} is not trusted ({error.verify_message}): see `paas ca`."
        ) from error
    except OSError as error:
        raise Unreachable(f"The connection to {host}:{port} broke off ({error}); the command may run on.") from error


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Every key goes to the command, Ctrl-C too."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _talk(line: ssl.SSLSocket) -> int | None:
    source = sys.stdin.fileno()
    held = b""
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        try:
            selector.register(source, selectors.EVENT_READ)
        except PermissionError:  # a file, or /dev/null, which is always ready
            line.sendall(sys.stdin.buffer.read() + END_OF_INPUT)
        while True:
            ready = {line} if line.pending() else {key.fileobj for key, _ in selector.select()}
            if source in ready:
                data = os.read(source, CHUNK_BYTES)
                line.sendall(data or END_OF_INPUT)
                if not data:
                    selector.unregister(source)
            if line in ready:
                data = line.recv(CHUNK_BYTES)
                if not data:
                    break
                held = _pass_on(held + data)
    told = STATUS.search(held)
    _write(held[: told.start()] if told else held)
    return int(told[1]) if told else None


def _pass_on(data: bytes) -> bytes:
    """Print all but what may be, or become, the telling of the status, which is given back."""
    begun = data.rfind(BEGUN, -STATUS_BYTES)
    kept = data[begun:] if begun >= 0 else b""
    _write(data[: len(data) - len(kept)])
    return kept


def _write(data: bytes) -> None:
    if data:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
