"""`paasd stack`: what is here, what could be made, and what is refused."""

import json
from pathlib import Path

import pytest

from paasd.domain.stack import BOOKWORM, Stacks
from paasd.stacks import NAMES, SCRIPT, names_of
from tests.paasd.test_main import paasd, refused


def test_the_script_knows_what_can_be_named() -> None:
    assert SCRIPT.exists()
    assert set(NAMES) == {"bookworm", "trixie", "forky", "node-24", "node-22", "node-20"}
    assert names_of(Stacks((BOOKWORM,), {"24": "24.1.0"})) == ["bookworm", "node-24"]


def test_what_is_no_stack_is_refused_before_anything_is_made() -> None:
    assert refused("stack", "build", "windows").startswith("paasd: windows is no stack; name bookworm, trixie")


def test_an_engine_that_is_away(tmp_path: Path) -> None:
    config = tmp_path / "paasd.yaml"
    config.write_text("docker: {host: 'unix:///nonexistent/docker.sock'}\n")
    for command in ("list", "update"):
        assert "Docker" in refused("stack", command, "--config", str(config))


@pytest.mark.docker
def test_what_is_here() -> None:
    done = paasd("stack", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert (rows["bookworm"]["image"], rows["bookworm"]["has"]) == ("paasd/stack:bookworm", "Python 3.11")
    assert rows["node-24"]["has"].startswith("Node 24.")
    said = paasd("stack", "list").stdout
    assert "bookworm   paasd/stack:bookworm" in said
    assert "(default)" in said
    assert refused("stack", "update", "windows") == "paasd: windows is not here; see `paasd stack list`."
