"""Certificates for the tests' router, by the daemon's own authority; and a client that speaks TLS to it."""

import ssl
from pathlib import Path

import msgspec

from paasd.adapters.local_ca import LocalCa
from router.table import Certificate, CertificateChange
from tests.router.process import RouterProcess


async def certify(router: RouterProcess, ca: LocalCa, *hosts: str) -> None:
    """Have the router hold a certificate for each of `hosts`."""
    put = tuple(Certificate(host, ca.issue([host]), "mark") for host in hosts)
    status, answer = await router.control("PATCH", "/certificates", msgspec.json.encode(CertificateChange(put)))
    assert status == 200, answer


def context_of(ca: LocalCa) -> ssl.SSLContext:
    """A client's that trusts this authority alone and would rather speak HTTP/2."""
    context = ssl.create_default_context(cafile=str(ca.file))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def authority(directory: Path) -> LocalCa:
    return LocalCa.open(directory / "ca")
