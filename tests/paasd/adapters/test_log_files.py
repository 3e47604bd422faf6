import asyncio
import resource
import signal
from pathlib import Path

import pytest

from paasd.adapters.log_files import LogFiles
from paasd.domain.errors import NotFound, Unavailable

APP_ID = "5f0a4f6e-0000-4000-8000-000000000001"
KEY = ("releases", "2")


async def collect(files: LogFiles, *, offset: int = 0, key: tuple[str, str] = KEY) -> bytes:
    """All of an output, to its end."""
    async with asyncio.timeout(10):
        return b"".join([chunk async for chunk in files.read(APP_ID, key, offset=offset)])


async def test_what_is_written_is_read_byte_for_byte(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    output = await files.open(APP_ID, KEY)
    await output.write(b"a\x00\xff\r\n")
    await output.write(b"")
    await output.write(b"b" * 1_000_000)
    await output.close()
    await output.close()
    await output.write(b"too late")
    assert await collect(files) == b"a\x00\xff\r\n" + b"b" * 1_000_000
    assert await collect(files, offset=4) == b"\n" + b"b" * 1_000_000
    assert await collect(files, offset=10**9) == b""
    path = tmp_path / "apps" / APP_ID / "releases" / "2.out"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700


async def test_readers_follow_live_and_from_any_place(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    output = await files.open(APP_ID, KEY)
    await output.write(b"one ")
    first = files.read(APP_ID, KEY)
    async with asyncio.timeout(10):
        assert await anext(first) == b"one "
        waiting = asyncio.ensure_future(anext(first))
        rest = asyncio.create_task(collect(files, offset=6))
        await asyncio.sleep(0)
        assert not waiting.done()
        await output.write(b"two ")
        assert await waiting == b"two "
        await output.write(b"three")
        await output.close()
        assert [chunk async for chunk in first] == [b"three"]
        assert await rest == b"o three"


async def test_many_readers_of_many_writes(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    output = await files.open(APP_ID, KEY)
    readers = [asyncio.create_task(collect(files, offset=offset)) for offset in range(20)]
    whole = b""
    for number in range(500):
        line = b"line %d\n" % number
        whole += line
        await output.write(line)
        await asyncio.sleep(0)
    await output.close()
    for offset, reader in enumerate(readers):
        assert await reader == whole[offset:]


@pytest.mark.parametrize("size", [1, 3, 7, 10, 11, 25, 1000])
async def test_what_goes_beyond_the_limit_is_cut_from_the_front(tmp_path: Path, size: int) -> None:
    """While it is written, after its end, and by the next daemon. Bites: `first` always 0."""
    whole = bytes(range(32, 127)) * 3
    files = LogFiles(tmp_path, max_bytes=10)
    output = await files.open(APP_ID, KEY)
    for start in range(0, len(whole), size):
        await output.write(whole[start : start + size])
    begun = files.read(APP_ID, KEY)
    told = b" !     Output too long: %d bytes were left out here; byte 275 follows.\n"
    assert await anext(begun) == told % 275
    assert await collect(LogFiles(tmp_path, max_bytes=10)) == told % 275 + whole[-10:]  # its writer was killed
    await output.close()
    assert b"".join([chunk async for chunk in begun]) == whole[-10:]
    for reader in (files, LogFiles(tmp_path, max_bytes=10)):
        assert await collect(reader) == told % 275 + whole[-10:]
        assert await collect(reader, offset=280) == whole[280:]
        assert await collect(reader, offset=274) == b"\n" + told % 1 + whole[-10:]
    assert await files.size(APP_ID) == 30


async def test_a_reader_that_the_writer_overtakes_is_told_how_much_it_missed(tmp_path: Path) -> None:
    """Bites: what is read in the thread given on without a look whether it was written over meanwhile."""
    files = LogFiles(tmp_path, max_bytes=1600)
    output = await files.open(APP_ID, KEY)
    await output.write(b"first ")
    reader = files.read(APP_ID, KEY)
    async with asyncio.timeout(10):
        assert await anext(reader) == b"first "
        await output.write(b"-" * 4994)
        assert await anext(reader) == b"\n !     Output too long: 3494 bytes were left out here; byte 3500 follows.\n"
        reading = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)  # it reads in its thread
        await output.write(b"+" * 1600)
        assert await reading == b"\n !     Output too long: 1600 bytes were left out here; byte 5100 follows.\n"
        await output.close()
        assert b"".join([chunk async for chunk in reader]) == b"+" * 1500


async def test_an_unbroken_reader_has_what_was_printed_and_nothing_else(tmp_path: Path) -> None:
    """So that whoever counts can go on. Bites: `read` that says what is left out to that one, too."""
    files = LogFiles(tmp_path, max_bytes=1600)
    output = await files.open(APP_ID, KEY)
    await output.write(b"first ")
    assert await files.reach(APP_ID, KEY, 0) == 0 and await files.reach(APP_ID, KEY, 999) == 999
    reader = files.read(APP_ID, KEY, unbroken=True)
    async with asyncio.timeout(10):
        assert await anext(reader) == b"first "
        await output.write(b"-" * 4994)
        with pytest.raises(Unavailable, match="from 6 to 3399 are no more"):
            await anext(reader)
        begin = await files.reach(APP_ID, KEY, 6)
        assert begin == 3500  # not at once overtaken again
        reader = files.read(APP_ID, KEY, offset=begin, unbroken=True)
        await output.close()
        assert b"".join([chunk async for chunk in reader]) == b"-" * 1500
    assert await files.reach(APP_ID, KEY, 6) == await LogFiles(tmp_path, max_bytes=1600).reach(APP_ID, KEY, 0) == 3400
    with pytest.raises(NotFound):
        await files.reach(APP_ID, ("builds", "none"), 0)


async def test_an_output_of_an_older_paasd_that_kept_the_beginning_is_read_whole(tmp_path: Path) -> None:
    old = b"1234567890\n !     Output too long, or disk full: 3 more bytes were left out.\n"
    output = await LogFiles(tmp_path).open(APP_ID, KEY)
    await output.write(old)
    await output.close()
    assert await collect(LogFiles(tmp_path, max_bytes=10)) == old


async def test_a_full_disk_is_not_the_writer_s_fault(tmp_path: Path) -> None:
    """A limit on file size stands for the disk: the write fails part of the way."""
    files = LogFiles(tmp_path)
    output = await files.open(APP_ID, KEY)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        await output.write(b"x" * 1500)
        await output.write(b"y")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    await output.close()
    text = await collect(files)
    assert text[:1000] == b"x" * 1000 and b"501 more bytes were left out" in text


async def test_an_output_whose_writer_died_just_ends(tmp_path: Path) -> None:
    output = await LogFiles(tmp_path).open(APP_ID, KEY)
    await output.write(b"so far")
    assert await collect(LogFiles(tmp_path)) == b"so far"
    await output.close()


async def test_beginning_again_starts_empty_and_ends_the_one_before(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    old = await files.open(APP_ID, KEY)
    await old.write(b"old")
    reader = files.read(APP_ID, KEY)
    assert await anext(reader) == b"old"
    new = await files.open(APP_ID, KEY)
    async with asyncio.timeout(10):
        assert [chunk async for chunk in reader] == []
    await old.write(b"lost")
    await new.write(b"new")
    await new.close()
    assert await collect(files) == b"new"


async def test_what_is_not_there(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    assert not files.exists(APP_ID, KEY)
    with pytest.raises(NotFound):
        await collect(files)
    for name in ("..", "a/b", ""):
        with pytest.raises(ValueError, match="not a name that paasd gave"):
            await files.open(APP_ID, ("builds", name))


async def test_an_app_s_outputs_go_with_it(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    await files.delete_app(APP_ID)
    output = await files.open(APP_ID, KEY)
    done = await files.open(APP_ID, ("builds", "b1"))
    await done.close()
    assert files.exists(APP_ID, KEY) and files.exists(APP_ID, ("builds", "b1"))
    reader = asyncio.create_task(collect(files))
    await asyncio.sleep(0)
    await files.delete_app(APP_ID)
    assert await reader == b""
    assert not (tmp_path / "apps" / APP_ID).exists()
    await output.write(b"late")
    await output.close()


async def test_readers_that_leave_hold_nothing(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    output = await files.open(APP_ID, KEY)
    held = _descriptors()
    reader = asyncio.create_task(collect(files))
    await asyncio.sleep(0.01)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert _descriptors() == held
    await output.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
