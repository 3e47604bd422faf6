"""What people put here: kept once it is whole and fit to be built, and gone after a while."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paasd.adapters import uploads as module
from paasd.adapters.uploads import FileUploads
from paasd.domain.errors import BuildFailed, InvalidParams, NotFound
from tests.paasd.adapters.tars import Entry, packed, zipped

ARCHIVE = zipped(packed(Entry("Procfile", os.urandom(2000))))


@pytest.fixture
def uploads(tmp_path: Path) -> FileUploads:
    return FileUploads(tmp_path, max_bytes=10_000)


async def arriving(*chunks: bytes, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


def files(home: Path) -> dict[str, int]:
    """Name -> mode of what is kept."""
    return {path.name: path.stat().st_mode & 0o777 for path in (home / "uploads").iterdir()}


async def test_what_was_put_is_read_again(uploads: FileUploads, tmp_path: Path) -> None:
    assert not await uploads.has("k1")
    assert await uploads.put("k1", arriving(ARCHIVE[:100], ARCHIVE[100:])) == len(ARCHIVE)
    assert await uploads.has("k1")
    assert b"".join([chunk async for chunk in uploads.read("k1")]) == ARCHIVE
    assert files(tmp_path) == {"k1": 0o600}


@pytest.mark.parametrize("cut", [OSError("reset"), asyncio.CancelledError()])
async def test_what_does_not_arrive_in_whole_leaves_what_was_there(
    uploads: FileUploads, tmp_path: Path, cut: BaseException
) -> None:
    await uploads.put("k1", arriving(ARCHIVE))
    with pytest.raises(BaseException, match=r"reset|kept|^$"):
        await uploads.put("k1", arriving(ARCHIVE[:100], then=cut))
    assert b"".join([chunk async for chunk in uploads.read("k1")]) == ARCHIVE
    assert list(files(tmp_path)) == ["k1"]


async def test_what_is_refused_is_not_kept(uploads: FileUploads, tmp_path: Path) -> None:
    with pytest.raises(InvalidParams, match=r"larger than 0 MB \(build\.max_push_bytes"):
        await uploads.put("k1", arriving(b"x" * 6000, b"x" * 6000))
    with pytest.raises(BuildFailed, match="leads out of it"):
        await uploads.put("k1", arriving(packed(Entry("../x"))))
    assert files(tmp_path) == {}
    with pytest.raises(NotFound):
        async with uploads.held("k1"):
            pass


async def test_a_silent_sender(uploads: FileUploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    with pytest.raises(InvalidParams, match="Nothing came"):
        await uploads.put("k1", silent())
    assert files(tmp_path) == {}


async def test_the_old_ones_go_but_for_those_in_use(uploads: FileUploads, tmp_path: Path) -> None:
    await uploads.put("k1", arriving(ARCHIVE))
    async with uploads.held("k1") as path:
        os.utime(tmp_path / "uploads" / "k1", (0, 0))
        await uploads.sweep(3600)
        assert not await uploads.has("k1")
        assert await asyncio.to_thread(path.read_bytes) == ARCHIVE
    assert files(tmp_path) == {}
    await uploads.put("k2", arriving(ARCHIVE))
    await asyncio.to_thread((tmp_path / "uploads" / "_half").write_bytes, b"")
    await uploads.sweep(3600)
    assert sorted(files(tmp_path)) == ["_half", "k2"]
    await uploads.sweep(3600, all_unnamed=True)
    assert list(files(tmp_path)) == ["k2"]


async def test_keys_are_ours(uploads: FileUploads) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await uploads.has("../x")
