"""The images that builds stand on are the ones that `make setup` makes."""

from pathlib import Path

from paasd.builders.stack import UV_IMAGE
from paasd.domain.stack import BOOKWORM

SETUP = Path(__file__).parents[3] / "deploy" / "setup"


def test_setup_makes_the_images_that_builds_stand_on() -> None:
    script = (SETUP / "base-images").read_text()
    assert BOOKWORM.image in script
    assert UV_IMAGE.partition(":")[0] in script
