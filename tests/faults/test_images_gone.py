"""E05: images removed behind our back: what is served goes on, and a rollback to what is gone fails at once, with the
commit to push; our own rounds remove nothing of the releases that are kept."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import running_alone, wait_until
from tests.faults.own_engine import needs_own_engine, own_engine

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]

TITLE = "an old release's image removed by hand, and all that no container uses, under load"
FAST = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}}


@contextmanager
def pushed(directory: Path, config: Mapping[str, object]) -> Iterator[Shop]:
    """An app of four pushes: v2 to v5."""
    with running_alone(config) as daemon:
        shop = open_shop(daemon, directory / "shop", "gone")
        for number in (2, 3, 4, 5):
            shop.deploy({"Procfile": f"{PROCFILE}# {number}\n", "release.txt": str(number)})
        wait_until(lambda: len(shop.containers()) == 1, 30, "an old dyno stays")
        wait_until(lambda: all(image_of(shop, version) for version in (2, 3, 4, 5)), 30, "not every release is tagged")
        yield shop


def image_of(shop: Shop, version: int) -> str:
    """The id of the image that a release names."""
    name = f"paasd/{shop.name}:v{version}"
    done = subprocess.run(["docker", "image", "inspect", "-f", "{{.Id}}", name], capture_output=True, text=True)
    return done.stdout.strip()


def refused(shop: Shop, version: int) -> None:
    """A rollback to it ends at once, names the commit to push, and changes nothing."""
    before = shop.standing()
    code, said = shop.shell.attempt("paas", "rollback", f"v{version}", "-a", shop.name)
    assert code != 0
    sha = shop.shell.run("git", "rev-parse", f"HEAD~{5 - version}").strip()
    assert sha[:8] in said and "push" in said and "expired" in said, said
    assert shop.call("GET", f"/releases/{version}")[1]["status"] == "expired"
    after = shop.standing()
    assert (after.dynos, after.containers, after.page) == (before.dynos, before.containers, before.page)


@pytest.mark.row("E05", TITLE)
def test_e05_a_rollback_to_a_removed_image_names_the_commit(tmp_path: Path) -> None:
    """Bites: the look at the engine's images left out of `_collect`: the release stays `succeeded`."""
    with pushed(tmp_path, FAST) as shop:
        subprocess.run(["docker", "rmi", "-f", image_of(shop, 2)], capture_output=True, check=True)
        refused(shop, 2)
        assert all(image_of(shop, version) for version in (3, 4, 5))
        shop.shell.run("paas", "rollback", "v3", "-a", shop.name)
        assert shop.released(6)["status"] == "succeeded"
        assert shop.served() == "v6"


@needs_own_engine
@pytest.mark.row("E05", TITLE)
def test_e05_all_that_no_container_uses_is_pruned(tmp_path: Path) -> None:
    """On an engine of the test's own. What is served is used; once the stack is there again, so are builds."""
    with own_engine() as engine, pushed(tmp_path, {**FAST, "docker": engine.settings}) as shop:
        with under_load(Aim(shop.daemon.router_port, shop.name, 50.0), tmp_path) as load:
            engine.docker("image", "prune", "-af")
            for version in (2, 3, 4):
                refused(shop, version)
            assert shop.served() == "v5"
            assert shop.call("PATCH", "/config-vars", {"N": "1"})[0] == 200
            assert shop.released(6)["status"] == "succeeded"
            wait_until(lambda: shop.served() == "v6", 30, "the config change is not served")
            engine.load("paasd/stack:bookworm")
            shop.deploy({"release.txt": "7"})
            report = load.stop()
        assert shop.served() == "v7"
        assert report.failed == []
