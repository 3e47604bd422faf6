"""The engine's multiplexed streams, cut at any place."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paasd.adapters.docker_streams import LINE_BYTES, SEEN_LINES, Seen, frames, json_lines, log_lines, parse_time

AT = datetime(2026, 11, 23, 22, 21, 31, 123456, tzinfo=UTC)
STAMP = b"2026-11-23T22:21:31.123456789Z "


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=8),
    st.integers(min_value=1, max_value=50),
)
async def test_frames_are_whole_wherever_the_stream_is_cut(sent: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(frame(stream, payload) for stream, payload in sent)
    assert [found async for found in frames(cut(data, size))] == sent


async def test_a_frame_cut_off_by_the_end_is_given_as_far_as_it_goes() -> None:
    assert [found async for found in frames(cut(frame(1, b"hello")[:-2], 100))] == [(1, b"hel")]
    assert [found async for found in frames(cut(frame(1, b"hello")[:5], 100))] == []


async def test_lines_have_their_times_and_bad_bytes_are_replaced() -> None:
    data = frame(1, STAMP + b"one\r\n") + frame(2, STAMP + b"\xff\n") + frame(1, STAMP + b"\n")
    assert [line async for line in log_lines(cut(data, 7))] == [(AT, "one"), (AT, "\ufffd"), (AT, "")]


async def test_pieces_of_a_long_line_are_joined_each_stream_by_itself() -> None:
    later = b"2026-11-23T22:21:32.000000000Z "
    data = frame(1, STAMP + b"a" * 16384) + frame(2, later + b"other\n") + frame(1, later + b"b\n")
    lines = [line async for line in log_lines(cut(data, 1000))]
    assert lines == [(AT + timedelta(microseconds=876544), "other"), (AT, "a" * 16384 + "b")]


async def test_a_line_without_an_end_is_not_gathered_for_ever() -> None:
    data = b"".join(frame(1, STAMP + b"x" * 16384) for _ in range(40))
    lengths = [len(text) async for _, text in log_lines(cut(data, 100_000))]
    assert max(lengths) == LINE_BYTES
    assert sum(lengths) == 40 * 16384


async def listed(lines: list[tuple[datetime, str]]) -> AsyncIterator[tuple[datetime, str]]:
    for line in lines:
        yield line


@pytest.mark.parametrize("given", [0, 1, 3, SEEN_LINES - 1, SEEN_LINES, 2 * SEEN_LINES])
async def test_what_the_end_of_a_followed_log_cut_off_is_read_once(given: int) -> None:
    """Bites: leave out the second reading in `DockerEngine.logs`, and a container's last line is lost now and then."""
    lines = [(AT + timedelta(microseconds=number // 2), "same" if number % 2 else str(number)) for number in range(200)]
    seen = Seen()
    for at, text in lines[:given]:
        seen.add(at, text)
    since = seen.since()
    first = datetime.fromtimestamp(float(since["since"]), UTC) if since else AT
    again = [line for line in lines if line[0] >= first]
    assert [line async for line in seen.missed(listed(again))] == lines[given:]


async def test_json_comes_line_by_line() -> None:
    assert [found async for found in json_lines(cut(b'{"a":1}\n\n{"b":2}\r\n{"c":3}', 3))] == [
        {"a": 1},
        {"b": 2},
        {"c": 3},
    ]


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("2026-11-23T22:21:31.123456789Z", AT),
        ("2026-11-23T22:21:31.1Z", AT.replace(microsecond=100_000)),
        ("2026-11-23T22:21:31Z", AT.replace(microsecond=0)),
        ("2026-11-23T23:21:31.123456+01:00", AT),
    ],
)
def test_times_of_any_precision_are_read(stamp: str, time: datetime) -> None:
    assert parse_time(stamp) == time


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_time("yesterday")
