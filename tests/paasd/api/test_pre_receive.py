import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from paasd.api import pre_receive

PROGRAM = Path(pre_receive.__file__)


def run(tmp_path: Path, answer: bytes) -> tuple[int, bytes, bytes]:
    """The program against a daemon that says `answer` and hangs up: exit code, output, and the request it sent."""
    path, requests = tmp_path / "s", []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                length = int.from_bytes(peer.recv(4, socket.MSG_WAITALL), "big")
                requests.append(peer.recv(length, socket.MSG_WAITALL))
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = subprocess.run(
            [sys.executable, "-IS", PROGRAM],
            input=b"old new ref\n",
            capture_output=True,
            timeout=20,
            env={
                "PAASD_HOOK_SOCKET": str(path),
                "PAASD_PUSH_ID": "id",
                "GIT_QUARANTINE_PATH": "/q",
                "GIT_PUSH_OPTION_COUNT": "2",
                "GIT_PUSH_OPTION_0": "queue",
                "GIT_PUSH_OPTION_1": "more",
            },
        )
        thread.join()
    assert done.stderr == b""
    return done.returncode, done.stdout, requests[0]


def frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def test_output_and_exit_code(tmp_path: Path) -> None:
    big = b"x" * 300_000
    code, out, request = run(tmp_path, frame(b"one\n") + frame(big) + frame(b"") + b"\x07")
    assert (code, out, request) == (7, b"one\n" + big, b"id\0/q\0queue\nmore\0old new ref\n")


@pytest.mark.parametrize("cut", [b"", frame(b"one\n"), frame(b"one\n")[:6], frame(b"one\n") + frame(b"")])
def test_a_line_cut_short_rejects(tmp_path: Path, cut: bytes) -> None:
    code, out, _ = run(tmp_path, cut)
    assert code == 1 and b"paasd stopped before this push was done" in out


def test_nobody_there(tmp_path: Path) -> None:
    for socket_path in (str(tmp_path / "none"), "", "/nowhere/at/all"):
        done = subprocess.run(
            [sys.executable, "-IS", PROGRAM], input=b"", capture_output=True, env={"PAASD_HOOK_SOCKET": socket_path}
        )
        assert done.returncode == 1 and b"paasd can't be reached" in done.stdout


def test_it_imports_nothing_slow() -> None:
    imported = "import sys; before = set(sys.modules); exec(open(sys.argv[1]).read(), {'__name__': 'x'}); "
    imported += "print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-IS", "-c", imported, PROGRAM], capture_output=True, check=True)
    assert done.stdout.strip() == b"['_socket']"
