"""S09: what users write never meets a shell of the daemon's, nor is read as an option of a program it starts."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paasd.api.policy import POLICIES
from tests.acceptance.shop import PROCFILE, Shop
from tests.daemon import wait_until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)"),
]

FIELDS = (
    "name",
    "email",
    "user",
    "command",
    "description",
    "hostname",
    "url",
    "buildpack",
    "release",
    "password",
    "type",
)
KEPT = ("POST /paasd/router/stop", "POST /paasd/router/upgrade", "DELETE /apps/{app}")


def payloads(canary: Path) -> list[str]:
    """Each makes the file where a shell reads it, or is an option where a program does."""
    touch = f"touch {canary}"
    return [
        f"; {touch}",
        f"| {touch}",
        f"`{touch}`",
        f"$({touch})",
        f"\n{touch}\n",
        f"x' {touch} '",
        f"--upload-pack={touch}",
    ]


@contextmanager
def watched(process: int, file: Path) -> Iterator[None]:
    """Every program that the process and its children execute meanwhile, whole, in `file`."""
    command = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=execve", "-o", str(file), "-p", str(process)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        wait_until(lambda: traced(process), 10, "strace did not attach")
        try:
            yield
        finally:
            tracer.terminate()


def traced(process: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    return re.search(r"TracerPid:\t[1-9]", status) is not None


@pytest.mark.row(
    "S09", "shell words in every string field of every route, in refs, options, messages and files of a push"
)
def test_nothing_written_by_a_user_is_executed(shop: Shop, tmp_path: Path) -> None:
    """Bites: with a `sh -c` over the name in the handler that creates apps, the canary is there."""
    canary, trace = tmp_path / f"canary-{time.monotonic_ns()}", tmp_path / "trace"
    process = shop.daemon.process
    assert process is not None
    with watched(process.pid, trace):
        for payload in payloads(canary):
            for route in POLICIES:
                if route not in KEPT:
                    assert ask(shop, route, payload) < 500, (route, payload)
            push(shop, payload)
        assert shop.call("PATCH", "", {"maintenance": False})[0] == 200
    assert not canary.exists()
    executed = [line for line in trace.read_text().splitlines() if "execve(" in line]
    assert any('"receive-pack"' in line for line in executed), "nothing was seen"
    shells = [line for line in executed if re.search(r'execve\("[^"]*/(?:sh|bash|dash)"', line)]
    assert [line for line in shells if '"-c"' in line] == []
    for line in executed:
        if canary.name in line:  # as a whole word of an argv, after the options' end
            assert '"--"' in line.partition(canary.name)[0], line


def ask(shop: Shop, route: str, payload: str) -> int:
    """The route with the payload in its path, and in every field of its body."""
    method, pattern = route.split(" ")
    path = pattern.replace("{app}", shop.name)
    quoted = "".join(f"%{byte:02X}" for byte in payload.replace("/", "%2F").encode())
    path = re.sub(r"\{\w+\}", quoted, path)
    body = dict.fromkeys(FIELDS, payload)
    if "config-vars" in path:
        body = {"GREETING": payload, payload: payload}
    return shop.daemon.call(method, path, None if method == "GET" else body)[0]


def push(shop: Shop, payload: str) -> None:
    """In a commit's message and author, a branch's name, a push option, a process type, a Dockerfile's name."""
    shell, line = shop.shell, payload.replace("\n", " ")
    shell.run("git", "-c", f"user.name={line}", "commit", "--quiet", "--allow-empty", "-m", payload)
    shell.attempt("git", "push", "-o", line, "paasd", "HEAD:main")
    branch = re.sub(r"[^\w;|`$()'-]", "", payload)
    shell.attempt("git", "push", "paasd", f"HEAD:refs/heads/x{branch}")
    shell.commit("A file", {"Procfile": f"{PROCFILE}{line}: true\n", f"f{branch}.txt": payload})
    shell.attempt("git", "push", "paasd", "HEAD:main")
    shell.run("git", "reset", "--quiet", "--hard", "HEAD~2")
