"""Failpoints: inert unless armed, and armed they kill without a last word, raise, stand still, or tell."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paasd.failpoints import ADDON_POINTS, POINTS, FailpointReached, Failpoints, parse_failpoints

ROOT = Path(__file__).parent.parent.parent

REACH = """
import asyncio
from paasd.failpoints import parse_failpoints
points = parse_failpoints("swap-after:kill")
asyncio.run(points.reach("swap-before"))
print("went on", flush=True)
asyncio.run(points.reach("swap-after"))
print("did not die")
"""


async def test_nothing_is_armed_by_itself() -> None:
    for name in POINTS:
        await Failpoints().reach(name)
    assert parse_failpoints("") == Failpoints()


def test_the_armed_point_kills_and_the_others_do_not() -> None:
    done = subprocess.run([sys.executable, "-c", REACH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "went on\n")


async def test_raise_hang_and_tell(capsys: pytest.CaptureFixture[str]) -> None:
    points = parse_failpoints("build:raise, start:hang, drain:tell")
    with pytest.raises(FailpointReached, match="build"):
        await points.reach("build")
    hanging = asyncio.create_task(points.reach("start"))
    assert not (await asyncio.wait([hanging], timeout=0.05))[0]
    hanging.cancel()
    await asyncio.wait([hanging])
    await points.reach("drain")
    assert capsys.readouterr().err == "failpoint drain\n"


def test_several_points_are_read() -> None:
    assert parse_failpoints("build:kill, start:kill").armed == {"build": "kill", "start": "kill"}


@pytest.mark.parametrize("text", ["swap-after", ":kill", "start:explode", "start:kill,,"])
def test_what_can_not_be_read_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^PAASD_FAILPOINTS holds '.*'; write NAME:kill\|\S+, or unset it\.$"):
        parse_failpoints(text)


def test_a_point_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"names 'swap', which is no point; there are receive-pack, build, .*\.$"):
        parse_failpoints("swap:kill")


@pytest.mark.parametrize("other", ["docker", "process"])
def test_each_point_is_reached_at_one_place_and_each_place_is_a_point(other: str) -> None:
    """With one engine; the other has its own."""
    paths = sorted(path for path in (ROOT / "paasd").rglob("*.py") if not path.name.startswith(f"{other}_"))
    text = "".join(path.read_text() for path in paths)
    assert sorted(re.findall(r"""\breach[(,] ?"([a-z-]+)"\)""", text)) == sorted([*POINTS, *ADDON_POINTS])


def test_the_points_are_documented() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE)
    assert listed == [*POINTS, *ADDON_POINTS]
