"""E03: somebody does to a dyno what only paasd may; it is mended within ten seconds, and the app's log says so."""

import subprocess

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def shop(brisk: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app that serves."""
    shop = open_shop(brisk, tmp_path_factory.mktemp("tampering"), "tampering")
    shop.deploy()
    return shop


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


TAMPERINGS = {
    "rm": (["rm", "-f", "{name}"], "Process was "),  # killed, or removed: which of the two is seen first
    "stop": (["stop", "-t", "1", "{name}"], "Process "),
    "pause": (["pause", "{name}"], "Process was paused, renamed or cut off"),
    "disconnect": (["network", "disconnect", "{network}", "{name}"], "Process was paused, renamed or cut off"),
    "rename": (["rename", "{name}", "{name}-mine"], "Process was paused, renamed or cut off"),
}


@pytest.mark.row("E03", "somebody removes, stops, pauses, renames or cuts off a dyno behind our back")
@pytest.mark.parametrize("how", TAMPERINGS)
def test_what_somebody_did_to_a_dyno_is_mended(shop: Shop, how: str) -> None:
    """Bites: `pause` taken out of events' NAMES; or `_is_lost` made to answer False; or `_note_missing` left out."""
    command, words = TAMPERINGS[how]
    wait_until(lambda: len(shop.containers()) == 1, 20, "there is not one container")
    [(name, before)] = shop.containers().items()
    network = shop.inspect(name, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}")
    shop.call("PATCH", "/formation", {"updates": [{"type": "web", "quantity": 1}]})  # so that it was looked at
    before_lines = shop.shell.run("paas", "logs", "-n", "1000", "-a", shop.name).count(words)
    docker(*(part.format(name=name, network=network) for part in command))

    def mended() -> bool:
        found = shop.containers()
        return len(found) == 1 and before not in found.values() and shop.get()[0] == 200

    wait_until(mended, 10, f"not mended in 10 s: {shop.containers()}")
    assert shop.shell.run("paas", "logs", "-n", "1000", "-a", shop.name).count(words) > before_lines
