"""kill -9 of the daemon at points of a deploy: the release is finished or failed, and what is served is current."""

import os
import signal

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def shop(brisk: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app that serves."""
    shop = open_shop(brisk, tmp_path_factory.mktemp("faults"), "spine")
    shop.deploy()
    return shop


def push_until_killed(shop: Shop, procfile: str, stage: str | None, version: int) -> str:
    """Push, kill the daemon once the release is at the stage (None: it kills itself); what the push said."""
    shop.shell.commit("Doomed", {"Procfile": procfile})
    with shop.pushing() as push:
        process = shop.daemon.process
        assert process is not None
        if stage is not None:
            wait_until(lambda: at_stage(shop, version, stage), 60, f"it did not come to {stage}")
            shop.daemon.kill()
        else:
            assert process.wait(60) == -signal.SIGKILL
            shop.daemon.process = None
        said, _ = push.communicate(timeout=30)
    assert push.returncode != 0, said
    return said


def at_stage(shop: Shop, version: int, stage: str) -> bool:
    """Whether the release has begun the stage, and its container runs."""
    if shop.call("GET", f"/releases/{version}")[0] != 200:
        return False
    begun = any(entry["stage"] == stage for entry in shop.stages(version))
    return begun and len(shop.containers(all=False)) == 2


def the_next_push_works(shop: Shop) -> None:
    version = newest(shop) + 1
    shop.deploy({"Procfile": PROCFILE})
    assert shop.served() == f"v{version}"
    wait_until(lambda: len(shop.containers()) == 1, 30, "old dynos stayed")


def newest(shop: Shop) -> int:
    return max(int(entry["version"]) for entry in shop.call("GET", "/releases")[1])


def current(shop: Shop) -> str:
    return next(f"v{entry['version']}" for entry in shop.call("GET", "/releases")[1] if entry["current"])


@pytest.mark.parametrize(
    ("procfile", "stage"),
    [(f"release: echo begun; sleep 600\n{PROCFILE}", "release phase"), ("web: sleep 600\n", "await healthy")],
    ids=["in its release phase", "while it waits for health"],
)
def test_killed_before_the_swap_the_old_release_serves_on(shop: Shop, procfile: str, stage: str) -> None:
    before, version = shop.standing(), newest(shop) + 1
    push_until_killed(shop, procfile, stage, version)
    assert shop.daemon.get(shop.name) == before.page  # without any daemon
    shop.daemon.start()
    release = shop.released(version)
    assert release["status"] == "failed"
    reason = next(entry["detail"] for entry in shop.stages(version) if entry["stage"] == "failed")
    assert reason == f"daemon restarted during {stage}; release it again."
    wait_until(lambda: set(shop.containers().values()) == before.containers, 30, "the doomed container stayed")
    assert shop.served() == current(shop)
    assert (shop.branch(), shop.standing().page) == (before.branch, before.page)
    the_next_push_works(shop)


def test_killed_between_swap_and_promotion_it_is_promoted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = shop.standing(), newest(shop) + 1
    shop.daemon.stop()
    monkeypatch.setenv("PAASD_FAILPOINTS", "swap-after:kill")
    shop.daemon.start()
    monkeypatch.delenv("PAASD_FAILPOINTS")
    push_until_killed(shop, PROCFILE + "# again\n", None, version)
    assert shop.served() == f"v{version}"  # the router has it already
    shop.daemon.start()
    assert shop.released(version)["status"] == "succeeded", shop.stages(version)
    assert shop.served() == current(shop) == f"v{version}"
    head = shop.shell.run("git", "rev-parse", "HEAD").strip()
    wait_until(lambda: shop.branch() == head, 30, "the branch was not moved to what is served")
    wait_until(lambda: not set(shop.containers().values()) & before.containers, 60, "the old dyno stayed")
    the_next_push_works(shop)


@pytest.mark.slow
def test_killed_before_the_swap_by_a_failpoint_and_the_router_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = shop.standing(), newest(shop) + 1
    router = shop.daemon.call("GET", "/paasd/router")[1]["pid"]
    shop.daemon.stop()
    monkeypatch.setenv("PAASD_FAILPOINTS", "swap-before:kill")
    shop.daemon.start()
    monkeypatch.delenv("PAASD_FAILPOINTS")
    push_until_killed(shop, PROCFILE + "# and again\n", None, version)
    os.kill(router, signal.SIGKILL)
    shop.daemon.start()
    assert shop.released(version)["status"] == "failed"
    assert shop.served() == current(shop)
    assert shop.standing().page == before.page
    wait_until(lambda: set(shop.containers().values()) == before.containers, 30, "the doomed container stayed")
    the_next_push_works(shop)
