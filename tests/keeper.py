"""examples/addon-partner as a process of its own: a third party with real behaviour, for whoever has its manifest."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paasd.domain.partner import Manifest, parse_manifest
from tests.daemon import ROOT, free_port, wait_until

EXAMPLE = ROOT / "examples" / "addon-partner"
PASSWORD, SALT = "what-paasd-says-0815", "what-signs-logins-4711"


@dataclass
class Keeper:
    """It keeps what it has in `folder`, so that it may be killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def file(self) -> Path:
        """Its manifest, as it would be given to an operator."""
        return self.folder / "addon-manifest.json"

    def write_manifest(self, **api: Any) -> dict[str, Any]:
        """The example's, for where this one listens."""
        given: dict[str, Any] = json.loads((EXAMPLE / "addon-manifest.json").read_text())
        production = {"base_url": f"{self.url}/heroku/resources", "sso_url": f"{self.url}/sso"}
        given["api"] |= {"password": PASSWORD, "sso_salt": SALT, "production": production, **api}
        self.file.write_text(json.dumps(given))
        return given

    def manifest(self, **api: Any) -> Manifest:
        return parse_manifest(self.write_manifest(**api))

    def start(self) -> "Keeper":
        """Returns when it answers."""
        if not self.file.exists():
            self.write_manifest()
        environment = {
            "PATH": os.environ["PATH"],
            "MANIFEST": str(self.file),
            "DATA": str(self.folder / "keeper.json"),
            "PORT": str(self.port),
        }
        with (self.folder / "keeper.log").open("ab") as log:
            command = [sys.executable, str(EXAMPLE / "keeper.py")]
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, 20.0, "the partner did not answer", self.process)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=2):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL; away already: fine."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def resources(self) -> dict[str, dict[str, Any]]:
        """All that it has, by our ids."""
        file = self.folder / "keeper.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}


def ask(method: str, url: str, token: str, body: bytes | None = None) -> tuple[int, bytes]:
    """(status, body) of what an app asks of it."""
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def until(holds: Any, seconds: float = 10.0) -> Any:
    """What an awaitable's maker gives once it is true; AssertionError when it never is."""
    deadline = time.monotonic() + seconds
    while not (found := await holds()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    return found
