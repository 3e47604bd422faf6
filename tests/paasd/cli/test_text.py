"""What reaches a terminal from an app's own text."""

from __future__ import annotations

import pytest

from paasd.cli.text import TerminalFilter, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttabbed é 漢", "plain\ttabbed é 漢"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x9b2Jgone\x9d0;t\x9cx", "gonex"),
        ("\x1bcreset", "reset"),
        ("a\x08\x7f\x00b\x85c", "abc"),
        ("\u202eright to left", "right to left"),
        ("unfinished \x1b]0;title", "unfinished ]0;title"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text).replace("\x1b", "") == shown
    assert "\x1b" not in printable(text)


def test_colours_pass_and_cut_sequences_wait() -> None:
    whole = "ok \x1b[32mgreen\x1b[0m é\r\n\x1b]0;owned\x07\x1b[2Jend\n".encode()
    wanted = "ok \x1b[32mgreen\x1b[0m é\nend\n".encode()
    for cut in range(len(whole)):
        clean = TerminalFilter()
        assert clean.feed(whole[:cut]) + clean.feed(whole[cut:]) == wanted


def test_a_sequence_without_an_end_does_not_hold_back_the_rest() -> None:
    clean = TerminalFilter()
    assert b"x" * 500 in clean.feed(b"\x1b]0;" + b"x" * 500)
