"""The advice stands behind git's own words, once; every other byte passes as it came, however it was cut."""

import pytest

from paasd.api.git_advice import ADVICE, WORDS, Advice


def packet(payload: bytes) -> bytes:
    return f"{len(payload) + 4:04x}".encode() + payload


COMPLAINT = packet(b"\x02fatal: " + WORDS + b"\n")
REPORT = packet(b"\x01" + packet(b"unpack unpack-objects abnormal exit\n") + b"0000") + b"0000"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_the_advice_comes_behind_the_complaint_however_it_is_cut(size: int) -> None:
    """Bites: pass on what is left of a packet at once, and the advice lands inside of it."""
    advice, data = Advice(), COMPLAINT + COMPLAINT + REPORT
    out = b"".join(advice.passed(data[at : at + size]) for at in range(0, len(data), size)) + advice.rest()
    assert out == COMPLAINT + packet(b"\x02" + ADVICE) + COMPLAINT + REPORT


@pytest.mark.parametrize("data", [REPORT, packet(b"unpack " + WORDS), b"0000", b"no packets at all", b"00"])
def test_all_else_passes_as_it_is(data: bytes) -> None:
    advice = Advice()
    assert advice.passed(data) + advice.rest() == data
