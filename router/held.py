"""What a router holds before it serves: its directory, for itself alone, the listening sockets, and its user."""

import fcntl
import os
import pwd
import socket
import sys
from pathlib import Path

from router.options import CannotStart

OWN_USER = "paasd-router"
_BACKLOG = 4096


def hold_directory(directory: Path) -> int:
    """Lock the directory, so that a socket found in it is not another living router's; the lock's descriptor."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        lock = os.open(directory / "router.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(f"{directory} can't be used ({error.strerror}): give another --router-dir.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise CannotStart(
            f"{directory} is held by the router with pid {holder}: stop that one or give another --router-dir."
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def listen(where: tuple[str, int] | int) -> socket.socket:
    """A socket that listens from now on, at an address or handed to us under a descriptor's number."""
    try:
        if isinstance(where, int):
            listener = socket.socket(fileno=where)
        else:
            listener = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        name = f"Descriptor {where}" if isinstance(where, int) else f"{where[0]}:{where[1]}"
        raise CannotStart(f"{name} can't be listened on ({error.strerror}): free it or give --listen.") from error
    listener.setblocking(False)
    return listener


def listen_for_control(directory: Path) -> socket.socket:
    """The control socket, 0600, put in place of a dead router's."""
    return private_socket(directory / "control.sock")


def private_socket(path: Path) -> socket.socket:
    """A unix socket at `path` that listens, for our own user only."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise CannotStart(f"{path} can't be made ({error}): give a shorter or writable --router-dir.") from error
    finally:
        os.umask(mask)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """HOST:PORT of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{host}:{port}"


def become(user: str | None, directory: Path, log: Path | None) -> str:
    """Give up root for `user` (unnamed: paasd-router, if there is one), who then owns directory and log; who we are."""
    if os.getuid() != 0:
        return _name(os.getuid())
    try:
        entry = pwd.getpwnam(user or OWN_USER)
    except KeyError as error:
        if user is None:
            return "root"
        raise CannotStart(f"There is no user {user!r}: create it or give another --user.") from error
    if entry.pw_uid == 0:
        return "root"
    try:
        if log is not None:
            os.close(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640))
            os.chown(log, entry.pw_uid, entry.pw_gid)
        for path in (directory, *directory.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        (directory / "router.lock").stat()
    except OSError as error:
        raise CannotStart(f"User {entry.pw_name!r} can't run the router here ({error}): see --user.") from error
    if not os.access(sys.executable, os.X_OK) or not os.access(__file__, os.R_OK):
        raise CannotStart(
            f"User {entry.pw_name!r} may not read {sys.executable} or the router's code: "
            "install them where that user can, or give --user root."
        )
    return entry.pw_name


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
