"""What a command prints on its way to whoever waits for it: as it comes, up to a bound. All of it is kept elsewhere."""

from paasd.ports import Write

LIVE_BYTES = 300_000_000
LEFT_OUT = "\n !     Output too long: {count} more bytes were left out here; {elsewhere}.\n"


class LiveOutput:
    """Passes on what is written, up to LIVE_BYTES. The rest is counted: `end` says that, and where to look."""

    def __init__(self, output: Write, elsewhere: str) -> None:
        self._output = output
        self._elsewhere = elsewhere
        self._room = LIVE_BYTES
        self._left_out = 0
        self._within_line = False

    async def write(self, data: bytes) -> None:
        """Waits while the reader is slow, as `output` does."""
        shown = data[: self._room]
        self._room -= len(shown)
        self._left_out += len(data) - len(shown)
        if shown:
            self._within_line = not shown.endswith(b"\n")
            await self._output(shown)

    async def end(self) -> None:
        """So that what is said next begins on a line of its own. May be repeated."""
        if self._left_out:
            words = LEFT_OUT.format(count=self._left_out, elsewhere=self._elsewhere)
            await self._output(words.removeprefix("" if self._within_line else "\n").encode())
        elif self._within_line:
            await self._output(b"\n")
        self._left_out, self._within_line = 0, False
