"""`paas ca`."""

from __future__ import annotations

import json

from .conftest import Run
from .wire import Wire

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_the_certificate_is_all_there_is_on_stdout_and_how_to_trust_it_beside(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/paasd/ca", {"certificate": PEM})
    ran = paas("ca")
    assert ran.stdout == PEM
    host = wire.url.partition("://")[2]
    assert f"curl --cacert paasd-ca.pem https://{host}/health" in ran.stderr
    assert all(word in ran.stderr for word in ("git config", "NODE_EXTRA_CA_CERTS", "browsers"))
    assert json.loads(paas("ca", "--json").stdout) == {"certificate": PEM}
