"""The local certificate authority: made once, good for names of this machine only, its key the daemon's alone.

Whoever trusts it trusts it for localhost, names under it and loopback addresses: its name constraints say so, so that a
stolen key is worth nothing elsewhere. It is never put into a system store.
"""

import contextlib
import ipaddress
import os
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from paasd.domain.errors import StoreUnavailable

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 90
SKEW = timedelta(hours=1)  # clocks of clients in containers and virtual machines lag behind
ADDRESSES = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))
API_NAMES = ("localhost", "127.0.0.1", "::1")

_General = x509.DNSName | x509.IPAddress


@dataclass(frozen=True, slots=True)
class LocalCa:
    """The authority of one home. `certificate` is PEM, for whoever is to trust it."""

    directory: Path
    certificate: str
    _authority: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def open(cls, directory: Path) -> "LocalCa":
        """The one kept in `directory`, made there first if there is none. Raises StoreUnavailable."""
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            if not (directory / "ca.pem").exists():
                _make(directory)
            text, key_text = (directory / "ca.pem").read_text(), _read_private(directory / "ca.key")
            key = serialization.load_pem_private_key(key_text, None)
            authority = x509.load_pem_x509_certificate(text.encode())
        except (OSError, ValueError) as error:
            raise StoreUnavailable(
                f"The certificate authority in {directory} can't be used ({error}); put it back from a backup, or "
                "remove the folder to have a new one made, which clients must then trust anew."
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.public_key():
            raise StoreUnavailable(f"The key in {directory} is not the certificate's; put back the one that belongs.")
        return cls(directory, text, authority, key)

    @property
    def file(self) -> Path:
        """Where the certificate is kept for clients on this machine."""
        return self.directory / "ca.pem"

    @property
    def name(self) -> str:
        """Its certificate's fingerprint."""
        return self._authority.fingerprint(hashes.SHA256()).hex()

    def covers(self, name: str) -> bool:
        """Whether a certificate of ours for this host name or address would be believed."""
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name.endswith(".localhost")
        return any(address in network for network in ADDRESSES)

    def issue(self, names: Sequence[str]) -> str:
        """A fresh key and its certificate for these names, as PEM: key first, then certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        end = min(now + timedelta(days=CERTIFICATE_DAYS), self._authority.not_valid_after_utc)
        identifier = self._authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_named("a paasd certificate"))  # no host name: it would be held against the constraints
            .issuer_name(self._authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem(key).decode() + certificate.public_bytes(serialization.Encoding.PEM).decode()

    def renew_api(self, context: ssl.SSLContext, names: Sequence[str] = API_NAMES) -> None:
        """Have `context` answer by a fresh certificate for the API; handshakes under way keep the one before."""
        file = self.directory / "api.pem"
        _write(file, self.issue([name for name in names if self.covers(name)]).encode(), 0o600)
        context.load_cert_chain(file)

    def server_context(self, names: Sequence[str] = API_NAMES) -> ssl.SSLContext:
        """What the API's port answers TLS with: HTTP/1.1 and nothing older than TLS 1.2."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self.renew_api(context, names)
        return context


def _make(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = _named(f"paasd local CA {secrets.token_hex(4)}")
    permitted: list[x509.GeneralName] = [x509.DNSName("localhost"), *map(x509.IPAddress, ADDRESSES)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(directory / "ca.key", _pem(key), 0o600)
    # The certificate last: where it is, its key is too.
    _write(directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> _General:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_private(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path} may be read by others, so it is no secret: run `chmod 600 {path}`")
    return path.read_bytes()


def _write(path: Path, data: bytes, mode: int) -> None:
    """Aside, on the disk, then renamed."""
    aside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
