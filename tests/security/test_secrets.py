"""S06 and S11: where a secret is found, and who may read what a fresh install leaves on the disk."""

import base64
import io
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest

from tests.acceptance.shop import PROCFILE, Shop
from tests.acceptance.test_daemon_life import watch_processes
from tests.daemon import BIN, Daemon, running
from tests.faults.soak.killer import router_processes

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(150)]

CANARY = "canary-91c2e04d7f"
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


@pytest.mark.row(
    "S06", "a config var, a token and a push URL's password: in no argv, log, image, error, audit or backup"
)
def test_secrets_stay_where_they_belong(shop: Shop, tmp_path: Path) -> None:
    """Bites: with `str(request.rel_url)` in place of `raw_path` in the access log, the daemon's log has the token."""
    token, done = shop.daemon.token, threading.Event()
    seen = list[bytes]()
    watching = threading.Thread(target=watch_processes, args=(seen, done))
    watching.start()
    try:
        version = len(shop.call("GET", "/releases")[1]) + 1
        url = f"postgres://ann:{CANARY}@db.example.org/shop"
        assert shop.call("PATCH", "/config-vars", {"GREETING": CANARY, "DATABASE_URL": url})[0] == 200
        assert shop.released(version)["status"] == "succeeded"
        wrong = shop.call("PATCH", "/config-vars", {"NOT A NAME": CANARY})
        said = shop.deploy({"Procfile": f"release: echo quiet\n{PROCFILE}"})
    finally:
        done.set()
        watching.join()
    assert shop.get()[1]["greeting"] == CANARY  # it did reach the app
    with_password = shop.daemon.url.replace("//", f"//git:{token}@") + f"/{shop.name}.git"
    subprocess.run(["git", "push", with_password, "HEAD:main"], cwd=shop.shell.cwd, capture_output=True, check=True)
    shop.daemon.call("GET", f"/apps?token={token}")
    holders = {name for name, data in everywhere(shop).items() if CANARY.encode() in data}
    assert holders == set(), holders
    assert wrong[0] == 422 and CANARY not in str(wrong[1]) and CANARY not in said
    assert not [line for line in seen if CANARY.encode() in line or token.encode() in line], (
        "in some process's arguments"
    )
    tokens = {name for name, data in everywhere(shop).items() if token.encode() in data}
    assert tokens == {"home/token"}, tokens
    assert base64.b64encode(f"git:{token}".encode()) not in (shop.daemon.log.read_bytes())
    assert token not in shop.shell.run("git", "config", "--list")
    for path in ("/releases?extended=true", "/builds", "/dynos", "/formation", "/audit"):
        assert CANARY not in str(shop.call("GET", path)[1]), path
    assert CANARY not in shop.shell.run("paas", "logs", "-n", "1500")
    backup = tmp_path / "backup.tar"
    taken = [str(BIN / "paasd"), "backup", "--home", str(shop.daemon.home), str(backup)]
    subprocess.run(taken, check=True, capture_output=True)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600 and CANARY.encode() not in backup.read_bytes()


def everywhere(shop: Shop) -> dict[str, bytes]:
    """All that daemon and router keep, and each layer and word of the app's newest image."""
    root = shop.daemon.root
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    [container] = list(shop.containers(all=False))[:1]
    image = shop.inspect(container, "{{.Image}}")
    for command in (["history", "--no-trunc", image], ["image", "inspect", image]):
        found[" ".join(command[:2])] = subprocess.run(["docker", *command], capture_output=True, check=True).stdout
    history = subprocess.run(["docker", "history", "-q", image], capture_output=True, text=True, check=True).stdout
    saved = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        layers = [member for member in archive.getmembers() if member.isfile()]
        for layer in [each for each in layers if each.size < 1 << 20]:  # ours are small; the base's are not ours
            file = archive.extractfile(layer)
            assert file is not None
            found[f"layer {layer.name}"] = file.read()
    assert history and len(found) > 5
    return found


@pytest.mark.row(
    "S11", "a fresh install under umask 000, files that others may read, planted links, somebody else's home"
)
def test_a_fresh_install_is_ours_alone() -> None:
    """Bites: with the umask left as it was, git's files, the routing table and logs are 0666 (seen before it was set);
    with 0.0.0.0 in `Port.listen`."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    before = os.umask(0)
    try:
        with running(root) as daemon:
            assert daemon.call("POST", "/apps", {"name": "fresh"})[0] == 201
            open_to_others = {
                f"{path.relative_to(root)} {stat.filemode(path.lstat().st_mode)}"
                for path in kept(daemon)
                if path.lstat().st_mode & 0o077 and path.name != "ca.pem"  # what clients are to trust is no secret
            }
            assert open_to_others == set()
            assert daemon.process is not None
            parent, workers = router_processes(daemon)
            for process in (daemon.process.pid, parent, *workers):
                assert process is not None
                assert {address for address, _ in listening(process)} <= LOOPBACK
            ports = {port for each in (daemon.process.pid, *workers) for _, port in listening(each)}
            assert {daemon.api_port, daemon.router_port} <= ports
    finally:
        os.umask(before)
        shutil.rmtree(root, ignore_errors=True)


def kept(daemon: Daemon) -> list[Path]:
    """The home and the router's folder, whole. A symbolic link has no mode of its own."""
    folders = [daemon.home, daemon.home.parent / f"{daemon.home.name}-router"]
    return [*folders, *(path for folder in folders for path in folder.rglob("*") if not path.is_symlink())]


def listening(process: int) -> list[tuple[str, int]]:
    """(address as the kernel writes it, port) of each TCP socket that it listens on."""
    inodes = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                address, _, port = words[1].partition(":")
                found.append((address, int(port, 16)))
    return found
