"""A03: health checks that flap, pass once, or pass late; and a release that comes to nothing once it is served."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import wait_until
from tests.faults.history import RecordedDaemon
from tests.faults.test_bad_apps import RATE, refused
from tests.faults.test_crash import clean, wrong

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(150)]

Record = Callable[[str, object], None]
TITLE = "health 200 and 500 in turn; 200 once, then 500; 200 after 6 s; good until it is served"
BOOT_SECONDS = 10.0
SERVER = (HELLO / "server.py").read_text()
CHECKS = json.dumps({"name": "x", "healthchecks": {"web": [{"type": "startup", "path": "/health"}]}})
COUNTS = "ASKED = [0]\nBEGAN = time.monotonic()\n\n\nclass Answers("
BAD = [pytest.param("ASKED[0] % 2 == 1", id="in turn"), pytest.param("ASKED[0] == 1", id="once")]


def healthy_if(condition: str) -> str:
    """The server, whose /health is 200 while this holds; ASKED is how often it was asked, BEGAN when it began."""
    asked = (
        '        if path == "/health":\n            ASKED[0] += 1\n'
        f'            return self.answer(200 if {condition} else 500, SELF)\n        if path == "/slow":'
    )
    return SERVER.replace("class Answers(", COUNTS).replace('        if path == "/slow":', asked)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An app that serves, its dynos given ten seconds to boot."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    deploy = {"wait": 20.0, "grace": 2.0, "drain": 2.0}
    daemon = RecordedDaemon(root, config={"deploy": deploy, "dynos": {"boot_timeout": BOOT_SECONDS}})
    try:
        daemon.start()
        shop = open_shop(daemon, tmp_path_factory.mktemp("health"), "health")
        shop.deploy({"app.json": CHECKS})
        yield shop
    finally:
        daemon.clear_away()
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.row("A03", TITLE)
@pytest.mark.parametrize("condition", BAD)
def test_what_is_not_steadily_healthy_is_not_served(
    shop: Shop, condition: str, tmp_path: Path, record_property: Record
) -> None:
    """Bites: with `confirmations` at 0 in `BootRules` the first answer is enough for both."""
    said = refused(shop, {"server.py": healthy_if(condition)}, tmp_path, record_property)
    words = r"its check at /health did not pass in 10 s: (answered 500|it passes now, and has to 3 times in a row)\."
    assert re.search(words, said), said


@pytest.mark.row("A03", TITLE)
def test_what_is_healthy_after_six_seconds_is_served(shop: Shop, tmp_path: Path, record_property: Record) -> None:
    """Bites: with the answer's status left out of the probe's judgement it is served at once."""
    before = shop.standing().releases[-1][0]
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        shop.deploy({"server.py": healthy_if("time.monotonic() - BEGAN > 6")})
        assert shop.served() == f"v{before + 1}"
        report = load.stop()
    assert [sample for sample in report.samples if sample.failure] == []
    log = shop.log("--source", "heroku", "--dyno", "web.1", "--release", f"v{before + 1}")
    assert "State changed from starting to up" in log
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))


@pytest.mark.row("A03", TITLE)
def test_a_release_that_crashes_once_it_is_served_is_told_of(shop: Shop, record_property: Record) -> None:
    """The policy is an alarm, no way back by itself. Bites: with `CrashAlarm.look` left out of `converge`."""
    before = shop.standing().releases[-1][0]
    dies = "def die():\n    time.sleep(3)\n    os._exit(1)\n\n\ndef main():\n    Thread(target=die).start()"
    shop.deploy({"server.py": SERVER.replace("def main():", dies)})
    words = rf"heroku\[api\]: Release v{before + 1} crashed: each of its web dynos ended within 60 seconds; "
    words += rf"`heroku rollback v{before}` brings back what was served before\."
    wait_until(lambda: re.search(words, shop.log()), 30, "nobody is told")
    assert len(re.findall(words, shop.log())) == 1
    assert "release crashed" in shop.daemon.log.read_text()
    shop.shell.run("paas", "rollback", f"v{before}", "-a", shop.name)
    wait_until(lambda: shop.get()[0] == 200, 30, "what was served before is not brought back")
    assert shop.served() == f"v{before + 2}"
    clean(shop)
    assert wrong(shop) == []
