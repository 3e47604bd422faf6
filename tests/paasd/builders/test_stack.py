"""The images that builds stand on are the ones that `make setup` makes."""

from pathlib import Path

from paasd.builders.stack import NODE_IMAGE, STATIC_IMAGE, UV_IMAGE
from paasd.domain.stack import BOOKWORM, NODES, PYTHONS

SETUP = Path(__file__).parents[3] / "deploy" / "setup"


def test_setup_makes_the_images_that_builds_stand_on() -> None:
    script = (SETUP / "base-images").read_text()
    assert BOOKWORM.image.partition(":")[0] in script
    assert f"{BOOKWORM.name} node-{NODES[0]}" in script  # by default
    for image in (UV_IMAGE, NODE_IMAGE, STATIC_IMAGE):
        assert f"={image.partition(':')[0]}\n" in script
    for name, python in PYTHONS.items():
        assert f"{name}) echo {python}" in script
