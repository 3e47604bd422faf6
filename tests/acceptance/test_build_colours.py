"""What a build paints is painted where its pusher looks: in a terminal (script's), by git push and `builds:output`."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from paasd.adapters.process_run import BASE_PATH
from tests.acceptance.shop import open_shop
from tests.acceptance.test_node_clients import heroku8
from tests.conftest import CLIENTS
from tests.daemon import running

GREEN, RED = "\x1b[32mgreen\x1b[0m", "\x1b[1;38;5;196mred\x1b[m"
PAINT = f"console.log({json.dumps(GREEN)}); console.error({json.dumps(RED)}); console.log('\\x1b[2Jsteers');\n"
SERVER = "require('http').createServer((_, to) => to.end('here')).listen(process.env.PORT, '0.0.0.0');\n"
PACKAGE = {"scripts": {"build": "node paint.js", "start": "node server.js"}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("script") is None, reason="no script(1), which makes a terminal, on this machine"),
]


@pytest.mark.parametrize("engine", [pytest.param("docker", marks=pytest.mark.docker), "process"])
def test_colours_reach_a_terminal_and_what_steers_it_does_not(engine: str, tmp_path: Path) -> None:
    """Bites: a build log that takes escapes out altogether, or lets all of them through."""
    if engine == "process" and shutil.which("node", path=BASE_PATH) is None:
        pytest.skip("no Node on this machine")
    source = tmp_path / "source"
    source.mkdir()
    for name, text in {"package.json": json.dumps(PACKAGE), "paint.js": PAINT, "server.js": SERVER}.items():
        (source / name).write_text(text)
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, options=("--engine", engine)) as daemon:
            shop = open_shop(daemon, tmp_path / "owner", f"paint-{engine}", source)
            shop.shell.commit("Paint")

            def terminal(command: str) -> str:
                return shop.shell.run("script", "-qec", command, "/dev/null")

            for text in (terminal("git push paasd main"), terminal(f"paas builds:output -a {shop.name}")):
                assert GREEN in text and RED in text, text
                assert "\x1b[2J" not in text, text
            if (CLIENTS / "heroku").exists():  # which shows what it gets: the bytes as they were printed
                text = terminal(f"{heroku8(shop.shell)} builds:output -a {shop.name}")
                assert GREEN in text and RED in text, text
            assert shop.get() == (200, "here")
    finally:
        shutil.rmtree(root, ignore_errors=True)
