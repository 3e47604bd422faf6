"""E05: images removed behind our back: what is served goes on, and a rollback to what is gone fails at once, with the
commit to push; our own rounds remove nothing of the releases that are kept."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import running, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An app of three pushes: v2, v3, v4."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, config={"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}}) as daemon:
            shop = open_shop(daemon, tmp_path / "shop", "gone")
            for number in (2, 3, 4):
                shop.deploy({"Procfile": f"{PROCFILE}# {number}\n", "release.txt": str(number)})
            wait_until(lambda: len(shop.containers()) == 1, 30, "an old dyno stays")
            yield shop
    finally:
        shutil.rmtree(root, ignore_errors=True)


def image_of(shop: Shop, version: int) -> str:
    """The id of the image that a release names."""
    name = f"paasd/{shop.name}:v{version}"
    done = subprocess.run(["docker", "image", "inspect", "-f", "{{.Id}}", name], capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.row("E05", "an old release's image is removed by hand")
def test_e05_a_rollback_to_a_removed_image_names_the_commit(shop: Shop) -> None:
    wait_until(lambda: all(image_of(shop, version) for version in (2, 3, 4)), 30, "not every release is tagged")
    commit = shop.call("GET", "/releases/2?extended=true")[1]
    subprocess.run(["docker", "rmi", "-f", image_of(shop, 2)], capture_output=True, check=True)
    before = shop.served()
    code, said = shop.shell.attempt("paas", "rollback", "v2", "-a", shop.name)
    assert code != 0
    sha = shop.shell.run("git", "rev-parse", "HEAD~2").strip()
    assert sha[:8] in said and "push" in said, (said, commit)
    assert "expired" in said
    assert shop.call("GET", "/releases/2")[1]["status"] == "expired"
    assert shop.served() == before == "v4"
    assert image_of(shop, 3) and image_of(shop, 4)
    shop.shell.run("paas", "rollback", "v3", "-a", shop.name)
    assert shop.released(5)["status"] == "succeeded"
    assert shop.served() == "v5"
