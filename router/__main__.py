"""`python -m router`: options, the hold on the router's directory, and the process from first table to last request."""

import argparse
import asyncio
import fcntl
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from router.access_log import AccessLog
from router.client import ClientServer
from router.control import About, Control
from router.exchange import Fabric, Limits
from router.inflight import InFlight
from router.proxy import Proxy
from router.state import TableInForce
from router.upstream import Upstreams

_DRAIN = 30.0
_CLIENT_IDLE = 90.0


class CannotStart(Exception):
    """The router can't run; the message is a sentence for whoever started it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line gives."""

    listen: tuple[str, int]
    directory: Path
    log: Path | None
    limits: Limits


def main() -> None:
    """Run the router until it is told to stop; exit code 1 and a sentence when it can't start."""
    options = _options()
    try:
        if HttpRequestParser is HttpRequestParserPy:
            raise CannotStart("aiohttp's compiled HTTP parser is missing: install an aiohttp wheel for this platform.")
        with _directory_held(options.directory):
            uvloop.run(_run(options))
    except CannotStart as error:
        sys.exit(f"router: {error}")


async def _run(options: Options) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    in_flight, log = InFlight(), AccessLog(options.log)
    table = TableInForce(options.directory)
    upstreams = Upstreams(table.serves, options.limits.connect)
    table.when_removed(upstreams.forget)
    if (complaint := table.restore()) is not None:
        sys.stderr.write(f"router: {complaint}\n")
    listener = _listener(*options.listen)
    host, port = listener.getsockname()[:2]
    proxy = Proxy(Fabric(table, upstreams, in_flight, options.limits), log, port)
    clients = ClientServer(proxy, _connection_options())
    about = About(os.getpid(), f"{host}:{port}", datetime.now(UTC).isoformat(timespec="seconds"))
    control = web.AppRunner(
        Control(table, in_flight, log, about, stopped.set).app(),
        access_log=None,
        shutdown_timeout=1.0,
        handler_cancellation=True,
    )
    server = await loop.create_server(clients, sock=listener, backlog=4096)
    await control.setup()
    await _control_site(control, options.directory / "control.sock")
    gc.collect()
    gc.freeze()
    await stopped.wait()
    server.close()
    proxy.stopping = True
    clients.close_idle()
    await in_flight.idle(None, _DRAIN)
    await clients.shutdown(timeout=0.5)
    log.close()
    upstreams.close()
    await control.cleanup()


def _connection_options() -> dict[str, object]:
    quiet = logging.getLogger("router.client")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    return {
        "keepalive_timeout": _CLIENT_IDLE,
        "access_log": None,
        "auto_decompress": False,
        "lingering_time": 5.0,
        "logger": quiet,
    }


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise CannotStart(
            f"{host}:{port} can't be listened on ({error.strerror}): free it or give --listen."
        ) from error
    return listener


async def _control_site(runner: web.AppRunner, path: Path) -> None:
    path.unlink(missing_ok=True)  # noqa: ASYNC240
    mask = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    except OSError as error:
        raise CannotStart(f"{path} can't be made ({error}): give a shorter or writable --router-dir.") from error
    finally:
        os.umask(mask)


@contextmanager
def _directory_held(directory: Path) -> Iterator[None]:
    """Hold the directory for this process alone, so that a socket found in it is a dead router's."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        lock = os.open(directory / "router.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(f"{directory} can't be used ({error.strerror}): give another --router-dir.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            raise CannotStart(
                f"{directory} is held by the router with pid {holder}: stop that one or give another --router-dir."
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="router", description="paasd's router: carries requests to apps' dynos.")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 8080), metavar="HOST:PORT")
    parser.add_argument("--router-dir", type=Path, required=True, metavar="DIR", help="socket, lock and saved table")
    parser.add_argument("--log", type=Path, metavar="FILE", help="access log (default: stdout)")
    for name in ("connect", "first-byte", "idle"):
        parser.add_argument(f"--{name}-timeout", type=float, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    plain = Limits()
    limits = Limits(
        given.connect_timeout or plain.connect,
        given.first_byte_timeout or plain.first_byte,
        given.idle_timeout or plain.idle,
    )
    return Options(given.listen, given.router_dir, given.log, limits)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, as in 127.0.0.1:8080")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


if __name__ == "__main__":
    main()
