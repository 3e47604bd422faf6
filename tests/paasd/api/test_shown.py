"""What a pusher's terminal is shown."""

import pytest

from paasd.api.shown import LINE_BYTES, Lines, Shown


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"plain\ttext\r\n", "plain\ttext\r\n"),
        ("grün \x1b[1;31mred\x1b[0m\n".encode(), "grün \x1b[1;31mred\x1b[0m\n"),
        (b"\x1b]52;c;ZXZpbA==\x07", "�]52;c;ZXZpbA==�"),
        (b"\x1b[2J\x1bc\x08\x00", "�[2J�c��"),
        ("\x9b2J\u202e".encode(), "�2J�"),
        (b"\xff \xe2\x82 end", "� � end"),
    ],
)
def test_what_steers_is_made_visible(printed: bytes, shown: str) -> None:
    """However it is cut. Bites: leave `_held` out, and a colour that is cut is none."""
    assert Shown().feed(printed) == shown.encode()
    by_bytes = Shown()
    assert b"".join(by_bytes.feed(printed[at : at + 1]) for at in range(len(printed))) == shown.encode()


def test_a_sequence_without_an_end_is_not_kept_for_ever() -> None:
    stream = Shown()
    assert stream.feed(b"\x1b[" + b"1;" * 16) == b""
    assert stream.feed(b"1;" * 500).startswith("�[1;1;".encode())
    assert stream.feed(b"on\n") == b"on\n"


@pytest.mark.parametrize("size", [1, 1000, LINE_BYTES, 10**6])
def test_lines_are_cut_where_no_terminal_s_program_would_hold_them(size: int) -> None:
    """However they come. Bites: without the look at `_length`, a line that comes in pieces is never cut."""
    long = LINE_BYTES + 34_464
    printed = b"short\n" + b"y" * LINE_BYTES + b"\r" + b"z" * long + b"\r\n\n" + b"end " * 3
    stream = Lines()
    shown = b"".join(stream.feed(printed[at : at + size]) for at in range(0, len(printed), size))
    cut = b"z" * LINE_BYTES + b" [34464 bytes left out]\r\n\n"
    assert shown == b"short\n" + b"y" * LINE_BYTES + b"\r" + cut + b"end end end "
