"""A Docker Engine of a test's own, to be killed, hung or filled: its own root, socket and bridge (needs root).

It leaves the host's firewall alone: dynos are reached from this host all the same, and those of other engines go on.
"""

import ipaddress
import os
import shutil
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STACK_IMAGE
from tests.daemon import wait_until

START_SECONDS = 60.0
POOLS = ipaddress.ip_network("10.220.0.0/14")  # of ours; 10.213.0.0/16 are the shared engine's


def why_not() -> str | None:
    """None where a second engine can be started."""
    if os.geteuid() != 0:
        return "only root may start a Docker Engine of its own"
    missing = [name for name in ("dockerd", "containerd", "ip", "iptables") if shutil.which(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


needs_own_engine = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@dataclass
class OwnEngine:
    """dockerd below `root`. `data` is its data root, elsewhere for one on a small disk."""

    root: Path
    data: Path
    options: Sequence[str] = ()
    process: "subprocess.Popen[bytes] | None" = None
    _number: int = field(init=False)

    def __post_init__(self) -> None:
        self._number = zlib.crc32(str(self.root).encode())

    @property
    def socket(self) -> Path:
        return self.root / "docker.sock"

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def bridge(self) -> str:
        return f"pd{self._number:08x}"

    @property
    def pool(self) -> str:
        """A /20 that networks of its apps, and its bridge, are cut from: two engines know nothing of each other."""
        pools = list(POOLS.subnets(new_prefix=20))
        return str(pools[self._number % len(pools)])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The daemon's section `docker`."""
        first, *_, _last = ipaddress.ip_network(self.pool).subnets(new_prefix=21)
        return {"host": self.host, "subnet_pool": str(first)}

    def make_bridge(self) -> None:
        *_, last = ipaddress.ip_network(self.pool).subnets(new_prefix=24)
        _run("ip", "link", "add", "name", self.bridge, "type", "bridge")
        _run("ip", "address", "add", f"{next(last.hosts())}/24", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")

    def start(self) -> None:
        """It answers when this returns."""
        self.root.joinpath("pid").unlink(missing_ok=True)  # of one that was killed
        own = self.root / "daemon.json"  # and not the machine's
        own.write_text("{}")
        command = ["dockerd", "--data-root", str(self.data), "--exec-root", str(self.root / "run"), "-H", self.host]
        command += ["--pidfile", str(self.root / "pid"), "--bridge", self.bridge]
        command += ["--iptables=false", "--ip-masq=false", "--config-file", str(own), *self.options]
        with (self.root / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self.answers, START_SECONDS, "the engine of its own does not answer", self.process)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{(self.root / 'dockerd.log').read_text()[-2000:]}") from None

    def answers(self) -> bool:
        command = ["docker", "-H", self.host, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0

    def docker(self, *arguments: str) -> str:
        return _run("docker", "-H", self.host, *arguments)

    def load(self, *images: str) -> None:
        """From the shared engine, by name."""
        shared = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        with subprocess.Popen(["docker", "save", *images], env=shared, stdout=subprocess.PIPE) as saving:
            subprocess.run(["docker", "-H", self.host, "load", "-q"], stdin=saving.stdout, check=True)

    def end(self, how: signal.Signals) -> None:
        """It no longer runs when this returns; its containers may."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(60)
        self.process = None

    def crash(self, pids: Sequence[int]) -> None:
        """As when its host ends: the engine, its containerd, and these processes of its containers, all killed."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)
        self.process = None
        for pid in [*pids, *self._left()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self._left(), START_SECONDS, "its containerd did not end")
        self._unmount()
        shutil.rmtree(self.root / "run")  # what a host keeps in memory

    def clear_away(self) -> None:
        """Itself, what it runs, its bridge, and the firewall's rules that paasd made for it."""
        with suppress(Exception):
            if self.process is None:
                self.start()
            if found := self.docker("ps", "-aq").split():
                self.docker("rm", "-f", *found)
        if self.process is not None:
            self.end(signal.SIGTERM)
        for pid in self._left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._unmount()
        subprocess.run(["ip", "link", "delete", self.bridge], check=False, capture_output=True)
        for rule in _run("iptables", "-S").splitlines():
            if f" {self.bridge} " in rule or str(self.settings["subnet_pool"]) in rule:
                subprocess.run(["iptables", "-w", "5", "-D", *rule.split()[1:]], check=False, capture_output=True)

    def _unmount(self) -> None:
        for mounted in reversed(_mounts_below(self.root, self.data)):
            subprocess.run(["umount", "-l", mounted], check=False, capture_output=True)

    def _left(self) -> list[int]:
        """Its containerd and what is below that."""
        mark, found = f"{self.root}/run".encode(), []
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if mark in command.read_bytes():
                    found.append(int(command.parent.name))
        return found


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _mounts_below(*roots: Path) -> list[str]:
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [place for place in places if any(place.startswith(f"{root}/") for root in roots)]


@contextmanager
def own_engine(*options: str, data: Path | None = None, images: Sequence[str] = (STACK_IMAGE,)) -> Iterator[OwnEngine]:
    """One that has these images. Within the block `docker` is its, too."""
    root = Path(tempfile.mkdtemp(prefix="paasd-e-"))
    engine = OwnEngine(root, data or root / "data", options)
    try:
        engine.make_bridge()
        engine.start()
        engine.load(*images)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", engine.host)
            yield engine
    finally:
        engine.clear_away()
        shutil.rmtree(root, ignore_errors=True)
