"""What a command prints on its way to a pusher: up to a bound, and said to be more."""

import pytest

from paasd.services.live_output import LiveOutput
from tests.paasd.services.world import Output

TOLD = " !     Output too long: {} more bytes were left out here; see there.\n"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ((b"12345", b"6789\n"), "123456789\n"),
        ((b"1234", b"56"), "123456\n"),
        ((), ""),
        ((b"12345", b"67890abc", b"more"), "1234567890\n" + TOLD.format(7)),
        ((b"123456789\n", b"ab"), "123456789\n" + TOLD.format(2)),
    ],
)
async def test_what_is_shown(pieces: tuple[bytes, ...], shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said next begins on a line of its own. Bites: `_within_line` never set."""
    monkeypatch.setattr("paasd.services.live_output.LIVE_BYTES", 10)
    output = Output()
    live = LiveOutput(output, "see there")
    for piece in pieces:
        await live.write(piece)
    await live.end()
    await live.end()
    assert output.text == shown
