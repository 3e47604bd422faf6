"""A dyno as a folder: what it is, how it runs and how it ended, in small files that any later daemon can read.

dyno.json is written when it is made, run.json by its supervisor once it runs, exit.json when it has ended.
"""

import contextlib
import json
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from paasd.adapters.docker_containers import parse_listeners
from paasd.adapters.trees import remove_tree
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, DynoSpec, DynoState, Exit
from paasd.domain.errors import EngineUnavailable

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below those that the kernel gives to outgoing connections
SIGNALS = range(129, 160)  # the exit codes a shell gives for signals 1 to 31
PASSABLE = 0o711  # apps' users come through it to what is theirs, and see nothing on the way
LOST = Exit(137, signal=9)  # of a dyno whose supervisor was killed


@dataclass(frozen=True, slots=True)
class DynoFolder:
    """One dyno's."""

    path: Path

    @property
    def id(self) -> str:
        """The dyno's."""
        return self.path.name

    @property
    def app(self) -> Path:
        """Its own copy of the app, which it may write to."""
        return self.path / "app"

    @property
    def tmp(self) -> Path:
        """Its /tmp."""
        return self.path / "tmp"

    def make(
        self,
        spec: DynoSpec,
        port: int | None,
        cgroups: Collection[str],
        user: tuple[int, int] | None,
        *,
        sandboxed: bool,
        readable: Collection[Path] = (),
    ) -> None:
        """Everything but what runs. `port` is where it is told to bind; `user` its uid and gid."""
        new_folder(self.path)
        content = {
            "name": spec.name,
            "kind": spec.kind.value,
            "app_id": spec.app_id,
            "release_id": spec.release_id,
            "release_version": spec.release_version,
            "artifact": spec.artifact,
            "command": spec.command,
            "port": port,
            "size": spec.size,
            "created_at": datetime.now(UTC).isoformat(),
            "cgroups": list(cgroups),
            "sandboxed": sandboxed,
            "readable": [str(path) for path in readable],
        }
        for folder in (self.app, self.tmp):
            folder.mkdir(mode=0o700)
            if user is not None:
                os.chown(folder, *user)
        write_json(self.path / "dyno.json", content)

    def made(self) -> dict[str, Any] | None:
        """What dyno.json says; None when there is no such dyno."""
        return read_json(self.path / "dyno.json")

    def ran(self) -> dict[str, Any] | None:
        """What run.json says: supervisor, ticks, child, started_at; None when it never ran."""
        return read_json(self.path / "run.json")

    def exit(self) -> Exit | None:
        """How it ended, None when it has not."""
        found = read_json(self.path / "exit.json")
        if found is None:
            return None
        code = int(found["code"])
        at = datetime.fromtimestamp(found["at"], UTC)
        return Exit(code, code - 128 if code in SIGNALS else None, bool(found["oom"]), at)

    def lose(self) -> None:
        """Note that it ended without anybody to see how."""
        now = datetime.now(UTC).timestamp()
        write_json(self.path / "exit.json", {"code": LOST.code, "oom": False, "at": now})

    def read(self) -> Dyno | None:
        """The dyno; None when there is none."""
        made = self.made()
        if made is None:
            return None
        ran, kind = self.ran(), DynoKind(made["kind"])
        ended = self.exit() if ran is not None else None
        running = ran is not None and ended is None
        return Dyno(
            id=self.id,
            name=made["name"],
            kind=kind,
            app_id=made["app_id"],
            release_id=made["release_id"],
            release_version=int(made["release_version"]),
            state=_state(ran is not None, kind, ended),
            address=LOOPBACK if running else None,
            port=made["port"],
            command=made["command"],
            created_at=datetime.fromisoformat(made["created_at"]),
            started_at=datetime.fromtimestamp(ran["started_at"], UTC) if ran is not None else None,
            exit=None if ended is None else Exit(ended.code, ended.signal, ended.oom),
            size=made.get("size", DEFAULT_SIZE),
            told=made["port"],
        )

    def remove(self) -> None:
        """Out of sight at once; its files may take a while, and what a killed daemon left of them goes later."""
        gone = self.path.with_name(f".gone-{os.urandom(8).hex()}")
        try:
            self.path.rename(gone)
        except FileNotFoundError:
            return
        remove_tree(gone)


def _state(ran: bool, kind: DynoKind, ended: Exit | None) -> DynoState:
    if not ran:
        return DynoState.STARTING
    if ended is None:
        return DynoState.UP
    return DynoState.COMPLETE if ended.code == 0 and kind is not DynoKind.FORMATION else DynoState.CRASHED


def folders(root: Path) -> Iterator[DynoFolder]:
    """All dynos below a folder."""
    for path in sorted(root.iterdir()):
        if not path.name.startswith("."):
            yield DynoFolder(path)


def told_ports(root: Path) -> dict[int, str]:
    """The ports that the dynos below a folder were told to bind, with the ids of their apps."""
    made = (folder.made() for folder in folders(root))
    return {int(each["port"]): str(each["app_id"]) for each in made if each is not None and each["port"] is not None}


def free_port(taken: Collection[int]) -> int:
    """A port that nobody listens on and no dyno was told to bind. EngineUnavailable when there is none."""
    chance = SystemRandom()
    for _ in range(200):
        port = chance.choice(PORTS)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise EngineUnavailable("No port is free for another dyno; see `ss -ltn` for who listens on 20000 to 31999.")


def new_folder(path: Path, mode: int = PASSABLE) -> None:
    """With that mode, whatever the umask is: the daemon's own leaves nothing to apps' users. One there gets it."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """A file's object; None when there is no such file."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Aside, then renamed: a reader sees the whole of it or nothing."""
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    aside.write_text(json.dumps(content))
    aside.replace(path)


def listening(pids: Collection[int]) -> list[tuple[str, int]]:
    """(address, port) of each TCP socket that one of these processes listens on."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(str(entry.readlink()).removeprefix("socket:[").rstrip("]"))
    found = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            found += Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    return parse_listeners("\n".join(line for line in found if line.split()[9] in inodes))
