"""What the benches measure: a daemon of their own with examples/hello live by git push, gone again at the end."""

import contextlib
import http.client
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.daemon import ROOT, Daemon, Shell, running, shell_for

APP = "hello"
PROCESS = "process"
SETTLE_SECONDS = 120.0
LOOK_SECONDS = 0.1
ACCEPT = "application/vnd.heroku+json; version=3"


@dataclass
class Scene:
    """The daemon, a user in the app's repository, and a kept connection to the API."""

    root: Path
    daemon: Daemon
    shell: Shell
    changes: int = 0
    _api: http.client.HTTPConnection | None = field(default=None, repr=False)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer of an API call; RuntimeError with its words when it is refused."""
        if self._api is None:
            self._api = http.client.HTTPConnection("127.0.0.1", self.daemon.api_port, timeout=90)
        headers = {"Accept": ACCEPT, "Authorization": f"Bearer {self.daemon.token}"}
        data = None if body is None else json.dumps(body)
        self._api.request(method, path, data, headers if data is None else {**headers, "Content-Type": ACCEPT})
        answer = self._api.getresponse()
        content = json.loads(answer.read() or b"null")
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content}")
        return content

    def commit_a_change(self) -> None:
        """One line of the source."""
        self.changes += 1
        file = self.shell.cwd / "server.py"
        text = file.read_text().rsplit("# change ", 1)[0].rstrip("\n")
        self.shell.commit(f"Change {self.changes}", {"server.py": f"{text}\n# change {self.changes}\n"})

    def push(self) -> float:
        """Seconds of the `git push` of what is committed; it returns when the release is served."""
        began = time.monotonic()
        self.shell.run("git", "push", "--quiet", "paasd", "main", seconds=SETTLE_SECONDS)
        return time.monotonic() - began

    def newest(self) -> int:
        """Version of the newest release."""
        return int(self.api("GET", f"/apps/{APP}/releases")[-1]["version"])

    def promoted(self, version: int) -> float:
        """time.monotonic() once the release has succeeded; RuntimeError when it failed."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            release = self.api("GET", f"/apps/{APP}/releases/{version}")
            if release["status"] == "succeeded":
                return time.monotonic()
            if release["status"] != "pending" or time.monotonic() > deadline:
                raise RuntimeError(f"v{version} ({release['description']}) is {release['status']}.")
            time.sleep(LOOK_SECONDS)

    def retired(self, version: int) -> list[dict[str, Any]]:
        """The release's stages, once the dynos before it are gone."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            stages = self.api("GET", f"/apps/{APP}/releases/{version}?extended=true")["extended"]["stages"]
            if stages and stages[-1]["stage"] == "done":
                return list(stages)
            if time.monotonic() > deadline:
                raise RuntimeError(f"v{version} has not retired the release before it: {stages}")
            time.sleep(0.02)


@contextlib.contextmanager
def scene(engine: str = "docker") -> Iterator[Scene]:
    """The app is live inside, on an engine. SIGTERM and Ctrl-C clear up too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    config = {"disk": {"keep_releases": 1000}}  # a bench goes back to any release: none is to expire on the way
    with (
        tempfile.TemporaryDirectory(prefix="paasd-bench-") as name,
        running(Path(name), options=("--engine", engine), config=config) as daemon,
    ):
        root = Path(name)
        shell = shell_for(daemon, root / "user", ROOT / "examples" / APP)
        if engine == PROCESS:  # which has no use for a Dockerfile
            (shell.cwd / "Dockerfile").rename(shell.cwd / "requirements.txt").write_text("")
        shell.commit("First")
        shell.run("paas", "apps:create", APP)
        shell.run("paas", "git:remote", "-a", APP)
        made = Scene(root, daemon, shell)
        made.push()
        yield made
