"""The pre-receive hook: hands a push to the daemon over its unix socket, prints what comes back, exits as it is told.

A program of its own, started for every push: it imports only what is built into the interpreter, and nothing of ours.
"""

import _socket  # `socket` takes longer to import than all of this takes to run
import posix
import sys

MOST_OPTIONS = 100
LENGTH = 4  # bytes before each frame, most significant first
NO_DAEMON = b" !     paasd can't be reached; see that it runs (paasd serve), then push again.\n !     Push rejected.\n"
CUT_OFF = (
    b" !     paasd stopped before this push was done; see `heroku releases`, then push again.\n !     Push rejected.\n"
)


def main() -> int:
    """One request, "push id NUL quarantine NUL options NUL ref updates"; frames of output, an empty one; exit code."""
    updates = _read_all()
    directory, _, name = _variable(b"PAASD_HOOK_SOCKET").rpartition(b"/")
    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        posix.chdir(directory)  # the length of a socket's path is limited
        peer.connect(name)
        request = b"\0".join((_variable(b"PAASD_PUSH_ID"), _variable(b"GIT_QUARANTINE_PATH"), _options(), updates))
        peer.sendall(len(request).to_bytes(LENGTH, "big") + request)
    except OSError:
        _print(NO_DAEMON)
        return 1
    try:
        while length := int.from_bytes(_exactly(peer, LENGTH), "big"):
            _print(_exactly(peer, length))
        return _exactly(peer, 1)[0]
    except (ConnectionError, EOFError):
        _print(CUT_OFF)
        return 1


def _variable(name: bytes) -> bytes:
    return posix.environ.get(name, b"")


def _options() -> bytes:
    """What stood behind `git push -o`, a line each."""
    count = _variable(b"GIT_PUSH_OPTION_COUNT")
    numbers = range(min(int(count), MOST_OPTIONS)) if count.isdigit() else ()
    return b"\n".join(_variable(b"GIT_PUSH_OPTION_%d" % number) for number in numbers)


def _read_all() -> bytes:
    whole = b""
    while chunk := posix.read(0, 65536):
        whole += chunk
    return whole


def _exactly(peer: _socket.socket, length: int) -> bytes:
    whole = b""
    while len(whole) < length:
        chunk = peer.recv(length - len(whole))
        if not chunk:
            raise EOFError
        whole += chunk
    return whole


def _print(data: bytes) -> None:
    while data:
        data = data[posix.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main())
