"""Lines counted in an attached container's stream, cut at any place. Against a real engine: tests/contracts."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paasd.adapters.docker_counts import HEAD_BYTES, Counter

HEAD = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n"


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def fed(data: bytes, size: int) -> Counter:
    counter = Counter()
    for at in range(0, len(data), size):
        counter.data_received(data[at : at + size])
    return counter


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.text("a\n", max_size=30)), max_size=8),
    st.integers(min_value=1, max_value=60),
)
async def test_lines_of_both_streams_and_those_without_an_end(sent: Iterable[tuple[int, str]], size: int) -> None:
    """Bites: count newlines in what comes as it is: a frame of ten bytes has one in its header."""
    data = HEAD + b"".join(frame(stream, text.encode()) for stream, text in sent)
    counter = fed(data, size)
    whole = {stream: "".join(text for which, text in sent if which == stream) for stream in (1, 2)}
    assert counter.lines == sum(text.count("\n") for text in whole.values())
    assert counter.attached.result()
    counter.connection_lost(None)
    counter.connection_lost(None)
    assert counter.ended
    assert counter.lines == sum(len(text.splitlines()) for text in whole.values())


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 500 Oops\r\n\r\n{}", b"x" * HEAD_BYTES, b"\r\n\r\n"]
)
async def test_what_is_refused_is_not_counted(said: bytes) -> None:
    counter = fed(said, 1000)
    assert counter.attached.result() is False


async def test_an_engine_that_hangs_up_is_no_answer() -> None:
    counter = Counter()
    counter.connection_lost(ConnectionResetError())
    assert counter.attached.result() is False
