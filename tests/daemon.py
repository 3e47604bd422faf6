"""A real daemon with its real router, in a home of its own, and a user at a shell beside it. Nothing here is a fake."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.conftest import heroku_cli
from tests.leftovers import remove_labelled

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
START_SECONDS = 30.0
STOP_SECONDS = 60.0


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Daemon:
    """`paasd serve` on free ports. `root` is a short temporary folder: unix sockets allow about 100 characters."""

    root: Path
    options: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    api_port: int = field(default_factory=free_port)
    router_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    def start(self, *more: str) -> None:
        """Start it and wait until it answers; AssertionError with its log when it does not."""
        self.root.chmod(0o711)  # apps' users pass through it, where no bubblewrap shows them their files elsewhere
        config = self.root / "paasd.yaml"
        config.write_text(json.dumps({"rate_limit": 10_000_000, **self.config}))  # tests ask in loops
        command = [str(BIN / "paasd"), "serve", "--home", str(self.home), "--config", str(config)]
        command += [
            "--api",
            f"127.0.0.1:{self.api_port}",
            "--router",
            f"127.0.0.1:{self.router_port}",
            *self.options,
            *more,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.answers, START_SECONDS, f"the daemon did not answer:\n{self.log.read_text()}", self.process)

    def answers(self) -> bool:
        """Whether /health does, and the router too."""
        try:
            status, _ = self.call("GET", "/paasd/router", missing_ok=True)
            _, router = self.call("GET", "/paasd/router")
        except (OSError, urllib.error.URLError, FileNotFoundError):
            return False
        return status == 200 and router["status"] == "up"

    def stop(self) -> None:
        """SIGTERM; apps and router go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)
            self.process = None

    def take_over(self) -> None:
        """The next daemon while this one runs, which has ended, well, when this returns."""
        before = self.process
        assert before is not None
        self.start("--takeover")
        assert before.wait(STOP_SECONDS) == 0
        wait_until(self._is_ours, START_SECONDS, f"it did not answer:\n{self.log.read_text()}", self.process)

    def _is_ours(self) -> bool:
        assert self.process is not None
        try:
            return bool(self.call("GET", "/paasd/process")[1]["pid"] == self.process.pid)
        except (OSError, urllib.error.URLError):
            return False

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def call(self, method: str, path: str, body: object = None, *, missing_ok: bool = False) -> tuple[int, Any]:
        """(status, decoded JSON) of an API call with the owner's token."""
        headers = {"Accept": "application/vnd.heroku+json; version=3", "Content-Type": "application/json"}
        if not missing_ok or (self.home / "token").exists():
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, app: str, path: str = "/") -> tuple[int, str]:
        """(status, body) of the app through the router."""
        url = f"http://127.0.0.1:{self.router_port}{path}"
        request = urllib.request.Request(url, headers={"Host": f"{app}.localhost:{self.router_port}"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def released(self, app: str, version: int, seconds: float = 90.0) -> dict[str, Any]:
        """The release once it is no longer pending."""

        def settled() -> bool:
            status, release = self.call("GET", f"/apps/{app}/releases/{version}")
            return status == 200 and release["status"] != "pending"

        wait_until(settled, seconds, f"v{version} of {app} stayed pending")
        return dict(self.call("GET", f"/apps/{app}/releases/{version}")[1])

    def clear_away(self) -> None:
        """Destroy the apps, stop daemon and router, and remove whatever they left on the engine."""
        with contextlib.suppress(Exception):
            if self.process is not None:
                for app in self.call("GET", "/apps")[1]:
                    self.call("DELETE", f"/apps/{app['name']}")
                self.call("POST", "/paasd/router/stop")
        self.stop()
        stop_router(self.home.parent / f"{self.home.name}-router")
        end_supervisors(self.home)
        if (self.home / "id").exists() and shutil.which("docker"):
            remove_labelled((self.home / "id").read_text().strip())


@dataclass
class Shell:
    """A user at a terminal: a throw-away HOME, a repository, and the environment that `paas env` prints."""

    home: Path
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, ok: bool = True, seconds: float = 120.0, answer: str = "") -> str:
        """Its stdout and stderr together; AssertionError when the exit code is not the expected one."""
        code, text = self.attempt(*command, seconds=seconds, answer=answer)
        assert (code == 0) is ok, f"{' '.join(command)} ended with {code}:\n{text}"
        return text

    def attempt(self, *command: str, seconds: float = 120.0, answer: str = "") -> tuple[int, str]:
        """(exit code, stdout and stderr together). `answer` is what its stdin gives."""
        done = subprocess.run(
            command,
            cwd=self.cwd,
            env=self.environment(),
            input=answer,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return done.returncode, done.stdout

    def environment(self) -> dict[str, str]:
        """Nothing of ours but what a fresh shell would have."""
        cli = heroku_cli()
        path = os.pathsep.join([str(BIN), *([str(cli.parent)] if cli else []), os.environ["PATH"]])
        return {
            "HOME": str(self.home),
            "PATH": path,
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "GIT_AUTHOR_NAME": "Ann",
            "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Ann",
            "GIT_COMMITTER_EMAIL": "ann@example.org",
            **self.env,
        }

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Write files, commit everything; the commit's sha."""
        for name, text in (files or {}).items():
            path = self.cwd / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)
        return self.run("git", "rev-parse", "HEAD").strip()


def shell_for(daemon: Daemon, directory: Path, source: Path | None = None) -> Shell:
    """A user of this daemon in a fresh repository, filled from `source`, who has done `eval "$(paas env)"`."""
    directory.mkdir(parents=True, exist_ok=True)
    home, cwd = directory / "user", directory / "shop"
    home.mkdir()
    if source is not None:
        shutil.copytree(source, cwd)
    cwd.mkdir(exist_ok=True)
    shell = Shell(home, cwd, {"PAASD_HOME": str(daemon.home)})
    shell.env = {**shell.env, **paas_env(shell)}
    shell.run("git", "init", "--quiet", "--initial-branch=main")
    return shell


def paas_env(shell: Shell) -> dict[str, str]:
    """What a shell has after eval "$(paas env)", as the shell itself tells it."""
    script = 'eval "$(paas env)" && env -0'
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=shell.environment(), cwd=shell.cwd, capture_output=True, text=True, check=True
    )
    variables = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    wanted = ("HEROKU_", "DISABLE_", "NODE_", "PAASD_", "GIT_CONFIG_")
    return {name: value for name, value in variables.items() if name.startswith(wanted)}


def wait_until(condition: Any, seconds: float, complaint: str, process: "subprocess.Popen[Any] | None" = None) -> None:
    """Look every 20 ms until it is so; AssertionError at the deadline or when the process ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, f"it ended with {process.returncode}; {complaint}"
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)


def stop_router(directory: Path) -> None:
    """End the router whose folder this is, if it still runs."""
    lock = directory / "router.lock"
    if not lock.exists() or not (text := lock.read_text().strip()).isdigit():
        return
    command = Path(f"/proc/{text}/cmdline")
    if command.exists() and str(directory).encode() in command.read_bytes():
        os.killpg(int(text), signal.SIGKILL)  # its workers too: they would serve on without it


def supervisors(home: Path) -> list[int]:
    """Those of the process engine that run for this home."""
    found = []
    for ran in (home / "process").glob("*/*/run.json"):
        pid = int(json.loads(ran.read_text())["supervisor"])
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"process_supervisor" in command.read_bytes():
            found.append(pid)
    return found


def end_supervisors(home: Path) -> None:
    """And what they run, and the firewall's rules for it."""
    for pid in supervisors(home):
        os.kill(pid, signal.SIGUSR1)
    if (home / "process").exists() and os.geteuid() == 0 and shutil.which("iptables"):
        mark = f"paasd-process-{(home / 'id').read_text().strip()}"
        rules = subprocess.run(["iptables", "-S", "OUTPUT"], capture_output=True, text=True, check=False).stdout
        for rule in rules.splitlines():
            if mark in rule:
                subprocess.run(["iptables", "-w", "5", *rule.replace("-A", "-D", 1).split()], check=False)
        for what in ("-F", "-X"):  # the ports' own
            chain = f"paasd-{(home / 'id').read_text().strip()}"
            subprocess.run(["iptables", "-w", "5", what, chain], capture_output=True, check=False)


AnyDaemon = TypeVar("AnyDaemon", bound=Daemon)


@contextlib.contextmanager
def running(root: Path, **settings: Any) -> Iterator[Daemon]:
    """A daemon, cleared away at the end."""
    daemon = Daemon(root, **settings)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.clear_away()


@contextlib.contextmanager
def alone(kind: type[AnyDaemon], config: Mapping[str, Any], options: tuple[str, ...] = ()) -> Iterator[AnyDaemon]:
    """One of that kind, in a short temporary folder of its own."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    daemon = kind(root, options=options, config=config)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.clear_away()
        shutil.rmtree(root, ignore_errors=True)


def running_alone(
    config: Mapping[str, Any], options: tuple[str, ...] = ()
) -> contextlib.AbstractContextManager[Daemon]:
    """A plain one of these, started with `options`."""
    return alone(Daemon, config, options)
