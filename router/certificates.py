"""The certificates https is answered with: one file a host name, 0600, chosen by the name a client asks for (SNI).

The daemon issues them and hands them over; its authority's key never comes here. Each worker reads the files by itself,
at the first handshake that needs one: so they outlive restarts, and a renewed one is in force by being there.
"""

import os
import ssl
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from router.table import Certificate, CertificateChange

DEFAULT_HOST = "localhost"
_KEPT_CONTEXTS = 256
_SUFFIX = ".pem"


class CertificateError(ValueError):
    """A certificate that https can't be answered with; its message is one sentence."""


class Certificates:
    """The files, and the contexts made of them. `context` begins every handshake."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "certificates"
        self._contexts: OrderedDict[str, tuple[int, ssl.SSLContext]] = OrderedDict()
        self.context = _new_context()
        self.context.sni_callback = self._choose

    def held(self) -> dict[str, str]:
        """The mark that each host name's certificate was handed over with."""
        found = {}
        for file in self._files():
            with file.open() as lines:
                found[file.name.removesuffix(_SUFFIX)] = lines.readline().strip()
        return found

    def change(self, change: CertificateChange) -> None:
        """Save and drop, each file as a whole. Raises CertificateError, and OSError when the disk won't have it."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for certificate in change.put:
            self._save(certificate)
        for host in change.drop:
            self._file(host).unlink(missing_ok=True)

    def for_host(self, host: str | None) -> ssl.SSLContext | None:
        """What to answer a client with that asks for `host`: its own certificate, else the default one."""
        return self._for(host.lower()) or self._for(DEFAULT_HOST) if host else self._for(DEFAULT_HOST)

    def _choose(self, session: ssl.SSLSocket | ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> int | None:
        context = self.for_host(host)
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        session.context = context
        return None

    def _for(self, host: str) -> ssl.SSLContext | None:
        """Looks at the file each time: a renewed certificate is another file under the same name."""
        try:
            file = self._file(host)
            changed = file.stat().st_mtime_ns
            known = self._contexts.get(host)
            if known is not None and known[0] == changed:
                self._contexts.move_to_end(host)
                return known[1]
            context = _new_context()
            context.load_cert_chain(file)
        except (OSError, CertificateError):
            self._contexts.pop(host, None)
            return None
        self._contexts[host] = (changed, context)
        if len(self._contexts) > _KEPT_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _save(self, certificate: Certificate) -> None:
        file = self._file(certificate.host)
        aside = file.with_suffix(".new")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(f"{' '.join(certificate.mark.split())}\n{certificate.pem}")
            handle.flush()
            os.fsync(handle.fileno())
        try:
            _new_context().load_cert_chain(aside)
        except ssl.SSLError as error:
            aside.unlink()
            raise CertificateError(f"The certificate of {certificate.host} can't be used ({error.reason}).") from error
        aside.replace(file)

    def _file(self, host: str) -> Path:
        if not host or host.startswith(".") or not set(host) <= _HOST_CHARACTERS or len(host) > 253:
            raise CertificateError(f"{host!r} is no host name: give a lower-case one without a port.")
        return self._directory / f"{host}{_SUFFIX}"

    def _files(self) -> Iterator[Path]:
        return self._directory.glob(f"*{_SUFFIX}")


_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
