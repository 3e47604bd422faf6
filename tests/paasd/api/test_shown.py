"""What a pusher's terminal is shown."""

import pytest

from paasd.api.shown import Shown


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
