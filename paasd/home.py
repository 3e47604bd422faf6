"""The daemon's home: its folder, the hold on it, and the small files in it (token, id, secrets), each 0600."""

import contextlib
import errno
import fcntl
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LOCK_LOOK_SECONDS = 0.02


class HomeError(Exception):
    """The home can't be used; the message is a sentence for whoever started the daemon."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything of one daemon is kept."""

    path: Path

    @property
    def store(self) -> Path:
        """The database."""
        return self.path / "store.db"

    @property
    def key(self) -> Path:
        """The key that config vars are sealed with."""
        return self.path / "key"

    @property
    def ca(self) -> Path:
        """The local certificate authority's folder."""
        return self.path / "ca"

    @property
    def hooks(self) -> Path:
        """Where git finds its pre-receive hook."""
        return self.path / "hooks"

    @property
    def takeover_socket(self) -> Path:
        """Where the next daemon asks this one to hand over."""
        return self.path / "takeover.sock"

    @property
    def hook_socket(self) -> Path:
        """Where the hook finds the daemon."""
        return self.path / "hook.sock"

    def prepare(self) -> None:
        """Make the folder, ours alone. May be repeated."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_uid != os.geteuid():
                raise HomeError(
                    f"The home {self.path} belongs to somebody else; run paasd as its owner, or choose another with "
                    "--home."
                )
            self.path.chmod(0o700)
            (self.path / "apps").mkdir(mode=0o700, exist_ok=True)
            (self.path / "tmp").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise HomeError(
                f"The home {self.path} can't be made or used ({error.strerror}); choose another with --home."
            ) from error

    def token(self) -> str:
        """The owner's token: 256 random bits, made at first start."""
        return self._secret("token", lambda: secrets.token_hex(32))

    def id(self) -> str:
        """Names this home on an engine that several daemons share. Not a secret, and never changes."""
        return self._secret("id", lambda: secrets.token_hex(4))

    def url_secret(self) -> bytes:
        """What capability URLs are signed with."""
        return bytes.fromhex(self._secret("url-secret", lambda: secrets.token_hex(32)))

    def cache_secret(self) -> bytes:
        """What names the places of builds' caches, of which an app's Dockerfile may learn its own."""
        return hmac.digest(self.url_secret(), b"build caches", "sha256")

    def engine(self, wanted: str) -> str:
        """The engine this home was used with, else the `wanted` one. HomeError when these differ and it is not "auto".

        Homes that were used before this was written down are Docker's: there was no other.
        """
        try:
            kept = (self.path / "engine").read_text().strip()
        except OSError:
            kept = "docker" if (self.path / "id").exists() else ""
        if kept and wanted not in ("auto", kept):
            raise HomeError(
                f"The home {self.path} has its apps on the {kept} engine, whose builds no other can run; start it with "
                f"--engine {kept}, or give the {wanted} engine a home of its own with --home."
            )
        return kept or wanted

    def keep_engine(self, name: str) -> None:
        """The engine that this home is used with from now on."""
        self._write("engine", name)

    def announce(self, api: str, router_directory: Path) -> None:
        """Leave the API's base URL for clients on this machine, and where the router is for `paasd doctor`."""
        self._write("router-dir", str(router_directory))
        self._write("api", api)

    def router_directory(self) -> Path | None:
        """Where this home's daemon last kept its router; None if it never ran."""
        try:
            return Path((self.path / "router-dir").read_text().strip())
        except OSError:
            return None

    @contextlib.contextmanager
    def held(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the home: one daemon at a time. HomeError naming the holder, if it has not let go in `wait` seconds."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait
        try:
            while not _locked(descriptor):
                if time.monotonic() >= deadline:
                    holder = os.read(descriptor, 100).decode(errors="replace").strip()
                    raise HomeError(
                        f"Another paasd (process {holder or 'unknown'}) holds the home {self.path}; "
                        "stop it first, take over from it with --takeover, or give this one its own --home."
                    )
                time.sleep(LOCK_LOOK_SECONDS)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        path = self.path / name
        if not os.path.lexists(path):
            self._write(name, make())
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
            raise HomeError(f"{path} can't be read ({reason}); put back the file that paasd made.") from error
        with os.fdopen(descriptor) as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise HomeError(f"{path} is not a file of ours; put back the one that paasd made.")
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise HomeError(
                    f"{path} may be read by others, so it is no secret: run `chmod 600 {path}`, or remove the file to "
                    "have a new one made."
                )
            text = file.read().strip()
        if not text:
            raise HomeError(f"{path} is empty; put its content back, or remove the file to have a new one made.")
        return text

    def _write(self, name: str, text: str) -> None:
        """Aside, then renamed: a reader sees the whole of it or the one before."""
        aside = self.path / f".{name}.new"
        aside.unlink(missing_ok=True)  # left by one who was killed here
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path / name)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
