"""Every failpoint is reached by a normal deploy, in the order it is documented in. Bites: with a `reach` taken out."""

import shutil
import tempfile
from pathlib import Path

import pytest

from paasd.failpoints import POINTS
from tests.acceptance.shop import PROCFILE, open_shop
from tests.daemon import Daemon, running, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


@pytest.mark.slow
def test_a_push_of_a_second_release_reaches_every_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    monkeypatch.setenv("PAASD_FAILPOINTS", ",".join(f"{name}:tell" for name in POINTS))
    try:
        with running(root, config={"deploy": {"grace": 2.0, "drain": 2.0}}) as daemon:
            monkeypatch.delenv("PAASD_FAILPOINTS")
            shop = open_shop(daemon, tmp_path, "points")
            shop.deploy()
            wait_until(lambda: "drain" in told(daemon), 30, "the first deploy did not come to its end")
            already = len(told(daemon))
            shop.deploy({"Procfile": f"release: echo ready\n{PROCFILE}"})
            wait_until(lambda: "retire" in told(daemon)[already:], 30, "the old dyno was not retired")
            assert list(dict.fromkeys(told(daemon)[already:])) == list(POINTS)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def told(daemon: Daemon) -> list[str]:
    """The points that were reached so far."""
    lines = daemon.log.read_text().splitlines()
    return [line.removeprefix("failpoint ") for line in lines if line.startswith("failpoint ")]
