"""G01: repositories made to harm who receives them, and no repositories at all: refused, nothing of them runs, nothing
of ours changes, and other pushes go on."""

import hashlib
import random
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import Daemon, running_alone, wait_until
from tests.faults.test_crash import orphans
from tests.paasd.pushing import User

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]

Record = Callable[[str, object], None]

TITLE = "repositories made to harm: names, links, submodules, bombs, 20,000 refs, no packs at all"
MEMORY_MAX = 500 * 1024**2
PUSH_MAX = 20 * 1024**2
FILES = {name: Path("examples/hello", name).read_text() for name in ("Dockerfile", "server.py")}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "build": {"max_push_bytes": PUSH_MAX}}
    with running_alone(config) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The app that is pushed to."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("hostile"), "hostile")
    shop.deploy()
    return shop


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Whose repository it is; what git itself would refuse is made by hand."""
    user = User(tmp_path / "user" / "work")
    user.commit({**FILES, "Procfile": PROCFILE})
    return user


@pytest.fixture
def trap() -> Iterator["Trap"]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Trap(listener)


class Trap:
    """A port that a harmless receiver never connects to."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port = listener.getsockname()[1]

    def sprung(self) -> bool:
        """Whether somebody did."""
        self._listener.setblocking(False)
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def names(*entries: str) -> Callable[[User, Trap, Path], None]:
    """A tree with entries of such names, of one harmless blob."""

    def make(user: User, _: Trap, __: Path) -> None:
        user.commit_tree(*(f"100644 {user.blob('x')} {entry}" for entry in entries))

    return make


def link(name: str, target: str) -> Callable[[User, Trap, Path], None]:
    def make(user: User, _: Trap, __: Path) -> None:
        (user.directory / name).symlink_to(target)
        user.commit({})

    return make


def below_a_link(user: User, _: Trap, mark: Path) -> None:
    """A link `d` out of the tree and, below the same name, a file to be written through it."""
    inner = user.now("mktree", stdin=f"100644 blob {user.blob('x')}\t{mark.name}\n".encode())
    user.commit_tree(f"120000 {user.blob(str(mark.parent))} d", f"40000 {inner} d")


def submodule(url: str) -> Callable[[User, Trap, Path], None]:
    """One whose fetch would run or reach something."""

    def make(user: User, trap: Trap, mark: Path) -> None:
        told = url.format(port=trap.port, mark=mark)
        first = user.now("rev-parse", "HEAD")
        user.now("update-index", "--add", "--cacheinfo", f"160000,{first},vendor")
        user.commit({".gitmodules": f'[submodule "v"]\n\tpath = vendor\n\turl = {told}\n\tupdate = !touch {mark}\n'})
        user.now("update-index", "--add", "--cacheinfo", f"160000,{first},vendor")
        user.now("commit", "-q", "--amend", "-m", "A submodule")

    return make


def bomb_of_trees(user: User, _: Trap, __: Path) -> None:
    """Ten to the power of ten files, of some kilobytes."""
    entry, mode, kind = user.blob("x"), "100644", "blob"
    for _level in range(10):
        lines = "".join(f"{mode} {kind} {entry}\tn{n}\n" for n in range(10))
        entry, mode, kind = user.now("mktree", stdin=lines.encode()), "040000", "tree"
    user.now("update-ref", "refs/heads/main", user.now("commit-tree", entry, "-m", "bomb"))


def bomb_of_zeros(user: User, _: Trap, __: Path) -> None:
    """A hundred names for 100 MB of zeros: a pack of 100 kB, and 10 GB of files."""
    zeros = user.now("hash-object", "-w", "--stdin", stdin=bytes(100 * 1024**2))
    user.commit_tree(*(f"100644 {zeros} z{number:03}" for number in range(100)))


def too_much(user: User, _: Trap, __: Path) -> None:
    """More than a push may bring."""
    user.commit({"bulk.bin": random.Random(1).randbytes(PUSH_MAX + 1024**2)})


REFUSED: dict[str, Callable[[User, Trap, Path], None]] = {
    "a hook in .git": names(".git"),
    "a name that is .git on other disks": names(".GIT", "git~1"),
    "a name with a separator": names("../../hooks/pre-receive"),
    "a name that leads up": names(".."),
    "a link out of the tree": link("hooks", "../../hooks"),
    "a link to a file of the host": link("passwd", "/etc/passwd"),
    "a file below a link": below_a_link,
    "a submodule with an option for an URL": submodule("-u./payload"),
    "a submodule with a program for an URL": submodule("ext::sh -c touch% {mark}"),
    "a submodule of the host": submodule("file:///etc"),
    "a submodule elsewhere": submodule("http://127.0.0.1:{port}/x.git"),
    "a carriage return in a submodule's path": submodule("http://127.0.0.1:{port}/x\r"),
    "a bomb of trees": bomb_of_trees,
    "a bomb of zeros": bomb_of_zeros,
    "more than a push may bring": too_much,
}


def ours(daemon: Daemon) -> dict[str, str]:
    """By name, the digest of what no push may change: secrets, hooks, settings of the repositories."""
    files = [*daemon.home.glob("*"), *daemon.home.glob("hooks/**/*"), *daemon.home.glob("apps/*/repo.git/config")]
    kept = [file for file in files if file.is_file() and not file.name.startswith(("store.db", "paasd.l"))]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in kept}


class Memory(threading.Thread):
    """The most that the daemon and all that it starts had at once, in bytes, until `most` is asked for."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over, self._most = pid, threading.Event(), 0

    def run(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, resident(self._pid))

    def most(self) -> int:
        self._over.set()
        self.join(10)
        return self._most


def resident(pid: int) -> int:
    """Of a process and its descendants; those that end meanwhile are left out."""
    total = 0
    with suppress(OSError):
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(resident(int(child)) for child in children.read_text().split())
    return total


@contextmanager
def unharmed(shop: Shop, trap: Trap, mark: Path, record_property: Record) -> Iterator[None]:
    """What must be so after the block: the app serves what it did, nothing ran, nothing of ours is another, nothing is
    left, and memory stayed within its bound."""
    process, before, page, branch = shop.daemon.process, ours(shop.daemon), shop.served(), shop.branch()
    assert process is not None
    memory = Memory(process.pid)
    memory.start()
    yield
    most = memory.most()
    record_property("memory_mb", most // 1024**2)
    assert most < MEMORY_MAX, f"{most // 1024**2} MB"
    assert process.poll() is None
    assert ours(shop.daemon) == before
    assert not mark.exists() and not trap.sprung()
    assert (shop.served(), shop.branch()) == (page, branch)
    wait_until(lambda: orphans(shop.daemon) == [], 30, f"left over: {orphans(shop.daemon)}")


def push(shop: Shop, user: User, *refs: str) -> "subprocess.CompletedProcess[str]":
    """As its owner, from that repository."""
    url = f"http://git:{shop.daemon.token}@127.0.0.1:{shop.daemon.api_port}/{shop.name}.git"
    return subprocess.run(
        ["git", "push", "--force", url, *(refs or ("main:main",))],
        cwd=user.directory,
        env={**shop.shell.environment(), **{k: v for k, v in user.environment.items() if k not in ("HOME", "PATH")}},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.row("G01", TITLE)
@pytest.mark.parametrize("what", REFUSED)
def test_g01_a_repository_made_to_harm(
    shop: Shop, user: User, trap: Trap, tmp_path: Path, what: str, record_property: Record
) -> None:
    mark = tmp_path / "ran"
    REFUSED[what](user, trap, mark)
    with unharmed(shop, trap, mark, record_property):
        done = push(shop, user)
        assert done.returncode != 0, done.stderr
        assert re.search(r"remote: +! |fsck|maximum allowed size|remote unpack failed", done.stderr), done.stderr
        assert "Something broke" not in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.row("G01", TITLE)
def test_g01_twenty_thousand_refs(shop: Shop, user: User, trap: Trap, tmp_path: Path, record_property: Record) -> None:
    """Refused before git makes a file of each."""
    sha = user.now("rev-parse", "HEAD")
    lines = [f"{'0' * 40} {sha} refs/tags/t{number}" for number in range(20_000)]
    lines[0] += "\0 report-status side-band-64k"
    body = "".join(f"{len(line) + 4:04x}{line}" for line in lines).encode() + b"0000" + pack(user)
    with unharmed(shop, trap, tmp_path / "ran", record_property):
        began = time.monotonic()
        said = post(shop, body)[1].decode("utf-8", "replace")
        assert "20,000 branches and tags in one push are more than 1,000; push fewer." in said, said[:2000]
        record_property("ended_s", round(time.monotonic() - began, 1))
    began = time.monotonic()
    shop.deploy({"note.txt": "after the refs"})
    record_property("next_push_s", round(time.monotonic() - began, 1))


@pytest.mark.row("G01", TITLE)
def test_g01_what_is_no_pack(shop: Shop, user: User, trap: Trap, tmp_path: Path, record_property: Record) -> None:
    """200 bodies, of noise and of a real push with some bytes changed: none is a fault of ours, none moves a branch."""
    noise = random.Random(20)
    command = f"{'0' * 40} {user.now('rev-parse', 'HEAD')} refs/heads/main\0 report-status"
    whole = f"{len(command) + 4:04x}{command}0000".encode() + pack(user)
    with unharmed(shop, trap, tmp_path / "ran", record_property):
        for number in range(200):
            body = bytearray(whole)
            for _ in range(noise.randint(1, 8)):
                body[noise.randrange(len(body))] = noise.randrange(256)
            status, _ = post(shop, bytes(body) if number % 4 else noise.randbytes(noise.randint(0, 4000)))
            assert status < 500, f"{status} to body {number}"
    record_property("bodies", 200)
    shop.deploy({"note.txt": "after the noise"})


@pytest.mark.row("G01", TITLE)
def test_g01_what_a_source_says_to_git_is_not_heard(shop: Shop, user: User, trap: Trap, tmp_path: Path) -> None:
    """It is deployed, for there is nothing wrong with it; and nothing that it names is run."""
    mark, process = tmp_path / "ran", shop.daemon.process
    user.commit(
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            ".gitconfig": f"[core]\n fsmonitor = touch {mark}\n[filter \"evil\"]\n smudge = touch {mark}\n",
            "hooks/post-checkout": f"#!/bin/sh\ntouch {mark}\n",
            "config": f"[core]\n hooksPath = hooks\n sshCommand = touch {mark}\n",
            "HEAD": "ref: refs/heads/../../../../etc/passwd\n",
            "readme": "one", "README": "another",
        }
    )  # fmt: skip
    before = ours(shop.daemon)
    done = push(shop, user)
    assert done.returncode == 0, done.stderr
    assert ours(shop.daemon) == before
    assert not mark.exists() and not trap.sprung()
    assert process is not None and process.poll() is None and shop.get()[0] == 200


def pack(user: User) -> bytes:
    """All that main needs."""
    return subprocess.run(
        ["git", "pack-objects", "--stdout", "--revs"],
        cwd=user.directory, env=user.environment, input=b"main\n", capture_output=True, check=True,
    ).stdout  # fmt: skip


def post(shop: Shop, body: bytes) -> tuple[int, bytes]:
    """(status, answer) of a push with that body; 0 where the line was cut."""
    url = f"{shop.daemon.url}/{shop.name}.git/git-receive-pack"
    headers = {
        "Authorization": f"Bearer {shop.daemon.token}",
        "Content-Type": "application/x-git-receive-pack-request",
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""
