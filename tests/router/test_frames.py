"""Frame boundaries: found in any cut of the bytes, for every form of length, masked or not."""

import os
import struct

import pytest

from router.frames import SERVICE_RESTART, SERVICE_RESTART_MASKED, FrameBoundary


def frame(size: int, *, masked: bool) -> bytes:
    mask = 0x80 if masked else 0
    if size < 126:
        head = bytes((0x82, mask | size))
    elif size < 65536:
        head = bytes((0x82, mask | 126)) + struct.pack("!H", size)
    else:
        head = bytes((0x82, mask | 127)) + struct.pack("!Q", size)
    return head + (b"mask" if masked else b"") + os.urandom(size)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_frame_ends_where_it_ends(size: int, masked: bool) -> None:
    boundary, data = FrameBoundary(), frame(size, masked=masked)
    for piece in (data[:1], data[1:-1]):
        boundary.feed(piece)
        assert not boundary.reached
    boundary.feed(data[-1:])
    assert boundary.reached


def test_many_frames_in_one_chunk_and_half_of_another() -> None:
    boundary = FrameBoundary()
    boundary.feed(b"".join(frame(size, masked=True) for size in (3, 0, 300)))
    assert boundary.reached
    boundary.feed(frame(7, masked=False)[:5])
    assert not boundary.reached


def test_our_own_words_are_frames() -> None:
    boundary = FrameBoundary()
    for word in (SERVICE_RESTART, SERVICE_RESTART_MASKED):
        boundary.feed(word)
        assert boundary.reached and word[-2:] == (1012).to_bytes(2, "big")
