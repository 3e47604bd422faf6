"""The routing table: the contract between the daemon, which derives it, and the router, which serves by it.

The only module of the router that paasd may import. Tables are whole, frozen, and numbered by their own counter.
"""

from typing import Literal

import msgspec

NoTargetCode = Literal["H81", "H14", "H10", "H20"]


class TableError(ValueError):
    """A table that cannot be served by; its message is one sentence."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One dyno's address. `app` and `release` say whose it is, so that another app's page can't be served by it."""

    app: str
    release: int
    dyno: str
    host: str
    port: int


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One app: the lower-case host names (no port) it answers for, and its targets.

    `app` is the app's id, `name` what people call it. Maintenance beats targets; `no_target_code` is the code to answer
    with when `targets` is empty: H81 blank app, H14 no web dynos, H10 crashed, H20 booting.
    """

    app: str
    name: str
    hosts: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    maintenance: bool = False
    no_target_code: NoTargetCode = "H14"


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


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RoutingTable, strict=True)
