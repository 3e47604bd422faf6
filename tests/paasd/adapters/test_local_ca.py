"""The local authority: its key is ours alone, and what it signs is believed for names of this machine only."""

import ipaddress
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from paasd.adapters.local_ca import API_NAMES, LocalCa
from paasd.domain.errors import StoreUnavailable


@pytest.fixture
def ca(tmp_path: Path) -> LocalCa:
    return LocalCa.open(tmp_path / "ca")


def verify(ca: LocalCa, tmp_path: Path, issued: str, name: str) -> str:
    """What openssl says of a certificate as that host's."""
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(issued)
    option = "-verify_ip" if name.replace(".", "").isdigit() or ":" in name else "-verify_hostname"
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(ca.file), option, name, str(leaf)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr + done.stdout


def test_it_is_made_once_and_its_key_is_for_nobody_else(ca: LocalCa, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "ca" / "ca.key").stat().st_mode) == 0o600
    assert LocalCa.open(tmp_path / "ca").certificate == ca.certificate


def test_a_key_that_others_may_read_is_refused(ca: LocalCa) -> None:
    (ca.directory / "ca.key").chmod(0o644)
    with pytest.raises(StoreUnavailable, match="chmod 600"):
        LocalCa.open(ca.directory)


def test_a_key_of_another_certificate_is_refused(ca: LocalCa, tmp_path: Path) -> None:
    other = LocalCa.open(tmp_path / "other")
    (ca.directory / "ca.key").write_bytes((other.directory / "ca.key").read_bytes())
    with pytest.raises(StoreUnavailable, match="not the certificate's"):
        LocalCa.open(ca.directory)


@pytest.mark.parametrize("name", ["shop.localhost", "localhost", "127.0.0.1", "::1"])
def test_names_of_this_machine_are_believed(ca: LocalCa, tmp_path: Path, name: str) -> None:
    assert ca.covers(name)
    assert verify(ca, tmp_path, ca.issue([name]), name) == ""


@pytest.mark.parametrize("name", ["example.org", "notlocalhost", "10.0.0.1", "192.0.2.7"])
def test_no_other_name_is_even_if_the_key_signs_it(ca: LocalCa, tmp_path: Path, name: str) -> None:
    """Bites: made without its name constraints, the authority vouches for all of these."""
    assert not ca.covers(name)
    assert "permitted subtree violation" in verify(ca, tmp_path, ca.issue([name]), name)


def test_what_is_issued_ends_in_time_and_is_no_authority(ca: LocalCa) -> None:
    certificate = x509.load_pem_x509_certificate(ca.issue(["shop.localhost"]).encode())
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=80) < left < timedelta(days=100)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_api_answers_for_what_is_covered_and_by_http_1_1_only(ca: LocalCa) -> None:
    context = ca.server_context([*API_NAMES, "paas.example.org"])
    assert stat.S_IMODE((ca.directory / "api.pem").stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate((ca.directory / "api.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert set(names.get_values_for_type(x509.IPAddress)) == {
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    }
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
