"""Frames: whole ones however the bytes come, and none from nonsense."""

import pytest

from router.channel import Broken, Frame, Frames, Kind


def test_frames_come_whole_however_they_are_cut() -> None:
    sent = [Frame(Kind.ASK, 7, 9, b"x" * 1000), Frame(Kind.READY), Frame(99, payload=b"a newer version's word")]
    data = b"".join(frame.encode() for frame in sent)
    frames = Frames()
    assert [frame for byte in data for frame in frames.feed(bytes([byte]))] == sent
    assert not frames.partial
    assert list(frames.feed(data)) == sent
    assert list(frames.feed(data[:5])) == [] and frames.partial


def test_nonsense_is_no_frame() -> None:
    with pytest.raises(Broken):
        list(Frames().feed(b"\xff" * 20))
