"""The images that builds stand on are the ones that `make setup` makes."""

from pathlib import Path

from paasd.builders.stack import STACK, STACK_IMAGE, UV_IMAGE

SETUP = Path(__file__).parents[3] / "deploy" / "setup"


def test_setup_makes_the_images_that_builds_stand_on() -> None:
    script = (SETUP / "base-images").read_text()
    assert STACK_IMAGE in script
    assert UV_IMAGE.partition(":")[0] in script
    assert STACK_IMAGE.endswith(f":{STACK}")
