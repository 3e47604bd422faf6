"""A PostgreSQL server as an operator has one: of the OS's programs, on a loopback port, with an admin who is no
superuser."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from paasd.adapters.process_addon_server import Programs, user_of
from paasd.domain.addon import Kind

READY_SECONDS = 60.0
ADMIN = "CREATE ROLE landlord LOGIN CREATEROLE CREATEDB PASSWORD 'let me in';"


@dataclass
class OwnPostgres:
    """One. `url` is the admin's."""

    data: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = None
    _ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> "OwnPostgres":
        """One that runs, in a folder that is made for it."""
        folder.mkdir(mode=0o700)
        found = user_of(Kind.POSTGRESQL) if os.geteuid() == 0 else None
        if found is not None:
            os.chown(folder, *found)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ids = {"user": found[0], "group": found[1]} if found is not None else {}
        made = cls(folder / "data", port, None, ids)
        made._run(
            "initdb", "-D", str(made.data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8"
        )
        (made.data / "pg_hba.conf").write_text("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        made.start()
        made.say(ADMIN)
        return made

    @property
    def url(self) -> str:
        return f"postgres://landlord:let%20me%20in@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Returns when it answers."""
        words = ["-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.data.parent)]
        program = Programs("").need(Kind.POSTGRESQL, "postgres")
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([program, *words], stdout=quiet, stderr=quiet, cwd="/", **self._ids)  # type: ignore[call-overload]
        deadline = time.monotonic() + READY_SECONDS
        while self._try("SELECT 1").returncode != 0:
            assert time.monotonic() < deadline, "PostgreSQL does not come up"
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Returns when it has ended; not running: fine."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def say(self, sql: str, database: str = "postgres") -> str:
        """As its superuser, over its socket."""
        done = self._try(sql, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _try(self, sql: str, database: str = "postgres") -> "subprocess.CompletedProcess[str]":
        program = Programs("").need(Kind.POSTGRESQL, "psql")
        words = [program, "-h", str(self.data.parent), "-p", str(self.port), "-U", "postgres", "-d", database]
        return subprocess.run([*words, "-qAtX", "-c", sql], capture_output=True, text=True, timeout=60, check=False)

    def _run(self, name: str, *words: str) -> None:
        program = Programs("").need(Kind.POSTGRESQL, name)
        subprocess.run([program, *words], check=True, capture_output=True, cwd="/", timeout=120, **self._ids)  # type: ignore[call-overload]
