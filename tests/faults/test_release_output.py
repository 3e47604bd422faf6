"""A07: a release command that prints far too much, or what is no text, or what would steer a terminal.

The push ends, the daemon stays small, each byte is kept or counted, and nobody's terminal is told what to do.
"""

import hashlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from bench.idle import family, memory
from tests.acceptance.shop import HELLO, PROCFILE, Shop, open_shop
from tests.daemon import Daemon, running_alone

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

Record = Callable[[str, object], None]
TITLE = "release commands that print 100 MB, 1 GB without a newline, random bytes, escape sequences"
ENDLESS = 1_000_000_000
KEPT = 300_000_000
SHOWN_OF_A_LINE = 64 * 1024
GROWN_MIB = 32
LEFT_OUT = re.compile(rb" !     Output too long: (\d+) bytes were left out here; byte (\d+) follows\.\n")
STEERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all controls but tab and line ends
COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")
NOISE = """
import os, sys
kind = sys.argv[1]
out = lambda data: os.write(1, data)
if kind == "much":
    block = b"".join(b"%07d " % number + b"x" * 91 + b"\\n" for number in range(10_000))
    for _ in range(100):
        view = memoryview(block)
        while view:
            view = view[out(view):]
elif kind == "endless":
    block = b"y" * 1_000_000
    for _ in range(1000):
        view = memoryview(block)
        while view:
            view = view[out(view):]
else:
    import random
    chosen = random.Random(7)
    for _ in range(30):
        out(chosen.randbytes(30_000))
    out(b"\\nlone \\xff and half \\xe2\\x82")
    out(b"\\xac\\rover\\n")
    out(b"\\x1b]52;c;ZXZpbA==\\x07 \\x1b]8;;http://evil\\x1b\\\\link\\x1b]8;;\\x1b\\\\ ")
    out(b"\\x1b]0;title\\x07 \\x9b2J \\x1b[2J\\x1b[31mred\\n")
    out("\\u009b2J \\u202e end\\n".encode())
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_alone({}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = open_shop(daemon, tmp_path_factory.mktemp("noisy"), "noisy")
    recipe = (HELLO / "Dockerfile").read_text().replace("COPY server.py", "COPY noise.py server.py")
    shop.deploy({"noise.py": NOISE, "Dockerfile": recipe})
    return shop


@pytest.mark.row("A07", TITLE)
@pytest.mark.parametrize("kind", ["much", "endless", "noise"])
def test_what_a_release_command_prints(daemon: Daemon, shop: Shop, kind: str, record_property: Record) -> None:
    """Bites: keep the output of a release in memory, or `first` of an output always 0; `Lines` left out of a push."""
    assert daemon.process is not None
    router = int(daemon.call("GET", "/paasd/router")[1]["pid"])
    before = memory(family(daemon.process.pid, router))
    version = shop.call("GET", "/releases")[1][-1]["version"] + 1
    said = shop.deploy({"Procfile": f"release: python3 noise.py {kind}\n{PROCFILE}"})
    after = memory(family(daemon.process.pid, router))
    assert f"v{version} is live" in said[-2000:]
    assert after.rss - before.rss < GROWN_MIB
    release = shop.released(version)
    with urllib.request.urlopen(release["output_stream_url"], timeout=120) as stream:
        _judge(kind, stream.read())
    for path in (f"/releases/{version}?extended=true", "/releases"):
        assert shop.call("GET", path)[0] == 200
    _unsteered(said)
    if kind == "endless":
        assert f"y [{KEPT - SHOWN_OF_A_LINE} bytes left out]" in said
        assert f"{ENDLESS - KEPT} more bytes were left out here; `paas releases:output v{version}` has the end" in said
        assert len(said) < 2 * SHOWN_OF_A_LINE
    _unsteered(shop.log())
    if kind == "noise":
        _unsteered(_at_a_terminal(shop, f"paas releases:output v{version}"))
    json.loads(shop.shell.run("paas", "logs", "--json", "-n", "50").splitlines()[0])
    record_property("pushed_bytes", len(said))
    record_property("peak_mib", round(after.peak - before.rss))


def _unsteered(text: str) -> None:
    """What a terminal was sent: text, colours, and what git itself puts at the end of a line."""
    steering = STEERS.search(COLOUR.sub("", text))
    assert steering is None, text[max(0, steering.start() - 40) :][:80]


def _at_a_terminal(shop: Shop, command: str) -> str:
    """What that, a line of ours, sends there."""
    shell = ["script", "--quiet", "--return", "--command", command, "/dev/null"]
    environment = {**shop.shell.environment(), "TERM": "xterm"}
    done = subprocess.run(shell, env=environment, cwd=shop.shell.cwd, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()  # UTF-8, or this fails


def _judge(kind: str, kept: bytes) -> None:
    """Byte for byte what was printed, or its beginning and how much is missing."""
    if kind == "much":
        block = b"".join(b"%07d " % number + b"x" * 91 + b"\n" for number in range(10_000))
        assert hashlib.sha256(kept).digest() == hashlib.sha256(block * 100).digest()
    elif kind == "endless":
        found = LEFT_OUT.match(kept)
        assert found and int(found[1]) == ENDLESS - KEPT
        assert kept[found.end() :] == b"y" * KEPT
    else:
        assert b"lone \xff and half \xe2\x82\xac\rover\n" in kept
        assert len(kept) > 900_000
