"""The command line, as values. Read by the parent, which is kept small: only the standard library is used here."""

import argparse
from dataclasses import dataclass
from pathlib import Path


class CannotStart(Exception):
    """The router can't run; the message is a sentence for whoever started it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect to an app, to its first byte, of silence after it, for a dyno; None is our own default."""

    connect: float | None
    first_byte: float | None
    idle: float | None
    park: float | None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a process which ends gives to what it began: to requests, and to websockets."""

    requests: float
    websockets: float

    @property
    def longest(self) -> float:
        return max(self.requests, self.websockets)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line gives. `listen` is an address, or the number of a listening socket's descriptor.

    `worker` and `resume` are the router's own words to itself: a worker's or a renewed parent's inheritance.
    """

    listen: tuple[str, int] | int
    directory: Path
    log: Path | None
    workers: int
    user: str | None
    timeouts: Timeouts
    patience: Patience
    worker: str | None
    resume: str | None


def parse(arguments: list[str]) -> Options:
    """Options from the command line; SystemExit with a sentence for what can't be understood."""
    parser = argparse.ArgumentParser(prog="router", description="paasd's router: carries requests to apps' dynos.")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 8080), metavar="HOST:PORT|fd:N")
    parser.add_argument("--router-dir", type=Path, required=True, metavar="DIR", help="socket, lock and saved table")
    parser.add_argument("--log", type=Path, metavar="FILE", help="access log (default: stdout)")
    parser.add_argument("--workers", type=_count, default=1, metavar="N", help="processes that serve; 0: one a core")
    parser.add_argument("--user", metavar="NAME", help="whom to run as when started by root (default: paasd-router)")
    parser.add_argument("--drain-seconds", type=_seconds, default=30.0, metavar="S", help="for requests, at an end")
    parser.add_argument("--websocket-drain-seconds", type=_seconds, default=30.0, metavar="S", help="for websockets")
    for name in ("connect", "first-byte", "idle", "park"):
        parser.add_argument(f"--{name}-timeout", type=_seconds, default=None, help=argparse.SUPPRESS)
    for name in ("worker", "resume"):
        parser.add_argument(f"--{name}", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    return Options(
        listen=given.listen,
        directory=given.router_dir,
        log=given.log,
        workers=given.workers,
        user=given.user,
        timeouts=Timeouts(given.connect_timeout, given.first_byte_timeout, given.idle_timeout, given.park_timeout),
        patience=Patience(given.drain_seconds, given.websocket_drain_seconds),
        worker=given.worker,
        resume=given.resume,
    )


def _address(text: str) -> tuple[str, int] | int:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, as in 127.0.0.1:8080, nor fd:N")
    if host == "fd":
        return int(port)
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes from 0 to 256")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86400.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds
