"""The routing table: the contract between the daemon, which derives it, and the router, which serves by it.

The only module of the router that paasd may import. Tables are whole, frozen, and numbered by their own counter.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

NoTargetCode = Literal["H81", "H14", "H10", "H20"]
BYPASS_PATH = "/.paasd/bypass/"
PAGE_BYTES = 256 * 1024
PAGE_HASH = re.compile("[0-9a-f]{64}")


class TableError(ValueError):
    """A table that cannot be served by; its message is one sentence."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One dyno's address. `app` and `release` say whose it is, so that another app's page can't be served by it."""

    app: str
    release: int
    dyno: str
    host: str
    port: int


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an app is kept in maintenance; an empty field means that there is none of it.

    `until`: seconds since 1970, when maintenance ends by itself. `pause`: seconds that a request waits for the end
    before it gets the page. `allow`: networks that are let in. `health_path` is answered 200 meanwhile. `bypass` is the
    key that signs the cookies of those who are let in.
    """

    until: float = 0.0
    pause: float = 0.0
    allow: tuple[str, ...] = ()
    health_path: str = ""
    bypass: str = ""


class RouteTimeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds: to connect (H19), to the first byte (H12), of silence after it (H15), for a dyno that starts (H20)."""

    connect: float = 5.0
    first_byte: float = 30.0
    idle: float = 55.0
    park: float = 10.0


BACKLOG, WEBSOCKETS = 10_000, 10_000  # of each worker: requests under way of a dyno, websockets of an app


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One app: the lower-case host names (no port) it answers for, its own first, and its targets. `*.example.org`
    answers for whatever name below that has no route of its own, nor a nearer wildcard.

    `app` is the app's id, `name` what people call it. Maintenance beats targets; `no_target_code` is the code to answer
    with when `targets` is empty: H81 blank app, H14 no web dynos, H10 crashed, H20 booting. `hold` says more of the
    maintenance; requests take the careful path while it is there. `health_path` is that of the app itself. Its own
    pages are named by their SHA-256: their bytes lie beside the saved table, which thus stays small. `timeouts`: where
    they are not the router's own. Of each worker, `backlog` is how many requests a dyno may have under way (H11), and
    `websockets` how many the app may have (H22).
    """

    app: str
    name: str
    hosts: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    maintenance: bool = False
    no_target_code: NoTargetCode = "H14"
    hold: Hold | None = None
    health_path: str = ""
    maintenance_page: str = ""
    error_page: str = ""
    timeouts: RouteTimeouts | None = None
    backlog: int = BACKLOG
    websockets: int = WEBSOCKETS


class RoutingTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every route there is, under a version that only grows (counted by the daemon, not a release's number)."""

    version: int
    routes: tuple[Route, ...] = ()


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One host name's key and certificate (`pem`), and a `mark` by which whoever issued it knows it again."""

    host: str
    pem: str
    mark: str

    def __repr__(self) -> str:
        return f"Certificate(host={self.host!r}, mark={self.mark!r})"


class CertificateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Certificates to answer https with from now on, and host names to have none any more."""

    put: tuple[Certificate, ...] = ()
    drop: tuple[str, ...] = ()


def bypass_token(key: str, app: str, expires: int) -> str:
    """What lets its bearer pass an app's maintenance until `expires`, in seconds since 1970."""
    signature = hmac.new(key.encode(), f"bypass {app} {expires}".encode(), hashlib.sha256).hexdigest()
    return f"{expires}.{signature}"


def pages_of(routes: Iterable[Route]) -> frozenset[str]:
    """The hashes of all pages that routes name."""
    return frozenset(page for route in routes for page in (route.maintenance_page, route.error_page) if page)


def encode(table: RoutingTable) -> bytes:
    """The table as JSON."""
    return _ENCODER.encode(table)


def decode(data: bytes) -> RoutingTable:
    """The table in `data` (JSON), checked. Raises TableError, a sentence, for anything that can't be served by."""
    try:
        table = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TableError(f"The routing table can't be read: {error}.") from error
    _check(table)
    return table


def _check(table: RoutingTable) -> None:
    if table.version < 0:
        raise TableError(f"The routing table's version is {table.version}: it must not be negative.")
    owners: dict[str, str] = {}
    for route in table.routes:
        for host in route.hosts:
            if not host or host != host.lower() or any(mark in host for mark in " /:@\t\r\n"):
                raise TableError(f"Route {route.name!r} has host {host!r}: give lower-case host names without a port.")
            if host in owners:
                raise TableError(f"Routes {owners[host]!r} and {route.name!r} both have the host {host!r}: keep one.")
            owners[host] = route.name
        for target in route.targets:
            if not 0 < target.port < 65536 or not target.host:
                where = f"{target.host}:{target.port}"
                raise TableError(f"Route {route.name!r} has target {where!r}: give a host and a port from 1 to 65535.")
            if target.app != route.app:
                raise TableError(f"Route {route.name!r} has a target of another app ({target.app!r}): leave it out.")
        _check_upkeep(route)


def _check_upkeep(route: Route) -> None:
    for page in (route.maintenance_page, route.error_page):
        if page and not PAGE_HASH.fullmatch(page):
            raise TableError(f"Route {route.name!r} has the page {page[:80]!r}: give the SHA-256 of its bytes.")
    if route.hold is None:
        return
    if route.hold.until < 0 or route.hold.pause < 0:
        raise TableError(f"Route {route.name!r} holds for a negative time: give seconds, or 0 for none.")
    for network in route.hold.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise TableError(f"Route {route.name!r} lets in {network!r}, which is no network: {error}.") from error


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RoutingTable, strict=True)
