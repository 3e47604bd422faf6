"""Failpoints: inert unless armed, and armed they kill without a last word."""

import signal
import subprocess
import sys

import pytest

from paasd.failpoints import Failpoints, parse_failpoints

REACH = """
import sys
from paasd.failpoints import parse_failpoints
points = parse_failpoints("before_promote:kill")
points.reach("before_swap_route")
print("went on", flush=True)
points.reach("before_promote")
print("did not die")
"""


def test_nothing_is_armed_by_itself() -> None:
    Failpoints().reach("before_promote")
    assert parse_failpoints("") == Failpoints()


def test_the_armed_point_kills_and_the_others_do_not() -> None:
    done = subprocess.run([sys.executable, "-c", REACH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "went on\n")


def test_several_points_are_read() -> None:
    assert parse_failpoints("a:kill, b:kill").armed == {"a": "kill", "b": "kill"}


@pytest.mark.parametrize("text", ["before_promote", ":kill", "a:explode", "a:kill,,"])
def test_what_can_not_be_read_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^PAASD_FAILPOINTS holds '.*'; write NAME:kill, or unset it\.$"):
        parse_failpoints(text)
