"""The router's certificates: each its file, for nobody else to read, renewed in place and there after a restart."""

import asyncio
import shutil
import signal
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from paasd.adapters.local_ca import LocalCa
from router.certificates import CertificateError, Certificates
from router.table import Certificate, CertificateChange
from tests.router.process import RouterProcess, route
from tests.router.sealing import authority, certify


@pytest.fixture
def ca(tmp_path: Path) -> LocalCa:
    return authority(tmp_path)


def change(ca: LocalCa, *hosts: str, drop: tuple[str, ...] = ()) -> CertificateChange:
    return CertificateChange(tuple(Certificate(host, ca.issue([host]), f"mark of {host}") for host in hosts), drop)


def test_each_is_a_file_of_ours_alone(tmp_path: Path, ca: LocalCa) -> None:
    certificates = Certificates(tmp_path)
    certificates.change(change(ca, "shop.localhost", "blog.localhost"))
    assert certificates.held() == {host: f"mark of {host}" for host in ("shop.localhost", "blog.localhost")}
    folder = tmp_path / "certificates"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600, 0o600]
    certificates.change(change(ca, drop=("blog.localhost", "never.localhost")))
    assert list(certificates.held()) == ["shop.localhost"]


def test_its_own_else_the_default_else_none(tmp_path: Path, ca: LocalCa) -> None:
    certificates = Certificates(tmp_path)
    certificates.change(change(ca, "shop.localhost"))
    assert certificates.for_host("Shop.localhost") is not None
    assert certificates.for_host("strange.localhost") is None and certificates.for_host(None) is None
    certificates.change(change(ca, "localhost"))
    default = certificates.for_host(None)
    assert default is not None and certificates.for_host("strange.localhost") is default
    assert certificates.for_host("shop.localhost") is not default
    assert certificates.for_host("../../etc/passwd") is default


def test_a_renewed_one_is_in_force_at_the_next_handshake(tmp_path: Path, ca: LocalCa) -> None:
    certificates = Certificates(tmp_path)
    certificates.change(change(ca, "shop.localhost"))
    before = certificates.for_host("shop.localhost")
    assert certificates.for_host("shop.localhost") is before
    certificates.change(change(ca, "shop.localhost"))
    assert certificates.for_host("shop.localhost") is not before


@pytest.mark.parametrize("host", ["", "../x", "a/b", "UPPER", ".hidden", "a b", "x" * 300])
def test_what_is_no_host_name_is_no_file_name(tmp_path: Path, ca: LocalCa, host: str) -> None:
    with pytest.raises(CertificateError):
        Certificates(tmp_path).change(CertificateChange((Certificate(host, ca.issue(["localhost"]), ""),)))


def test_what_is_no_certificate_takes_no_place(tmp_path: Path, ca: LocalCa) -> None:
    certificates = Certificates(tmp_path)
    certificates.change(change(ca, "shop.localhost"))
    with pytest.raises(CertificateError, match="can't be used"):
        certificates.change(CertificateChange((Certificate("shop.localhost", "no PEM", "new"),)))
    assert certificates.held() == {"shop.localhost": "mark of shop.localhost"}
    assert certificates.for_host("shop.localhost") is not None


def test_a_key_is_in_no_representation(ca: LocalCa) -> None:
    assert "PRIVATE" not in repr(change(ca, "shop.localhost"))


async def test_https_outlives_a_kill_without_the_daemon(own_router: RouterProcess, ca: LocalCa) -> None:
    """Bites: with certificates kept in memory, curl is refused after the restart."""
    await own_router.publish(route("shop", 1, maintenance=True))
    await certify(own_router, ca, "shop.localhost")
    own_router.stop(signal.SIGTERM)
    own_router.start()
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"https://shop.localhost:{own_router.port}/"
    command = ["curl", "--silent", "--show-error", "--max-time", "10", "--cacert", str(ca.file), "-o", "/dev/null"]
    command += ["--write-out", "%{http_code}", "--resolve", f"shop.localhost:{own_router.port}:127.0.0.1", url]
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=path)
    assert (done.stdout, done.stderr) == ("503", "")


async def test_without_any_certificate_tls_is_refused_and_http_served(own_router: RouterProcess) -> None:
    await own_router.publish(route("shop", 1, maintenance=True))
    context = ssl.create_default_context()

    def connect() -> None:
        with socket.create_connection(("127.0.0.1", own_router.port), timeout=10) as plain:
            context.wrap_socket(plain, server_hostname="shop.localhost")

    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(connect)
    assert (await own_router.get("shop.localhost")).status == 503


async def test_what_can_not_be_read_is_refused(router: RouterProcess) -> None:
    assert (await router.control("PATCH", "/certificates", b"{"))[0] == 400
    bad = msgspec.json.encode(CertificateChange((Certificate("a/b", "", ""),)))
    assert (await router.control("PATCH", "/certificates", bad))[0] == 400
