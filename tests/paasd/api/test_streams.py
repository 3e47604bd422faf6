"""Output streams: live, replayed, resumed, by capability only."""

import asyncio

import aiohttp
import pytest
import structlog

from tests.paasd.api.test_releases import WITH_COMMAND
from tests.paasd.api.world import DEADLINE, OUTPUT_BYTES, World


async def output_url(world: World, version: int) -> str:
    url = (await world.get(f"/apps/shop/releases/{version}"))["output_stream_url"]
    return str(url).removeprefix(world.parts.public_url)


async def test_live_then_replayed(world: World) -> None:
    app = await world.create()
    build = await world.built(app, WITH_COMMAND)
    created = await world.call("POST", "/apps/shop/releases", {"slug": build.id})
    url = created.json["output_stream_url"]
    world.engine.printed.put_nowait(b"one\r\n\xff\n")
    async with asyncio.timeout(DEADLINE):
        await world.engine.attached.wait()
        async with world.session.get(url) as live:
            assert (live.status, live.content_type) == (200, "text/plain")
            assert await live.content.readexactly(7) == b"one\r\n\xff\n"
            world.engine.printed.put_nowait(b"two\n")
            assert await live.content.readexactly(4) == b"two\n"
            world.engine.printed.put_nowait(None)
            assert await live.content.read() == b""
    await world.settled(app)
    assert (await world.ask("GET", url)).raw == b"one\r\n\xff\ntwo\n"
    resumed = await world.ask("GET", url, headers={"Range": "bytes=7-"})
    assert (resumed.status, resumed.raw, resumed.header("Content-Range")) == (206, b"two\n", "bytes 7-*/*")
    assert (await world.ask("GET", f"{url}&offset=9")).raw == b"o\n"
    assert (await world.ask("GET", url, headers={"Range": "bytes=999-"})).raw == b""
    assert (await world.ask("GET", url, headers={"Range": "lines=1-"})).raw == b"one\r\n\xff\ntwo\n"


async def test_resumed_where_the_beginning_is_kept_no_more(world: World) -> None:
    """What one has is not sent again, and where there is a gap is told. Bites: `output` without `reach`."""
    app = await world.create()
    kept = await world.outputs.open(app.id, ("builds", "b"))
    whole = b"".join(b"%09d\n" % number for number in range(1_000_000))
    first = len(whole) - OUTPUT_BYTES
    await kept.write(whole)
    url = world.parts.links.output(app.id, "builds", "b")
    ahead = first + OUTPUT_BYTES // 16  # as long as it grows, so as not to be overtaken again at once
    async with world.session.get(url, headers={"Range": "bytes=7-"}) as growing:
        assert (growing.status, growing.headers["Content-Range"]) == (206, f"bytes {ahead}-*/*")
        await kept.close()
        assert await growing.read() == whole[ahead:]
    for begin in (0, first - 1, first, first + 1, len(whole) - 1, len(whole)):
        answer = await world.ask("GET", url, headers={"Range": f"bytes={begin}-"})
        given = max(begin, first)
        assert (answer.status, answer.header("Content-Range")) == (206, f"bytes {given}-*/*")
        assert answer.header("Accept-Ranges") == "bytes" and answer.raw == whole[given:]
    told = b" !     Output too long: %d bytes were left out here; byte %d follows.\n" % (first, first)
    plain = await world.ask("GET", url)
    assert (plain.status, plain.raw) == (200, told + whole[first:])
    assert plain.header("Accept-Ranges") == "none"  # the line would be counted, too


async def test_a_range_breaks_off_where_its_reader_is_overtaken(world: World) -> None:
    """Nobody takes a part for the whole, or a line of ours for a byte of it. Bites: `read` not `unbroken`."""
    app = await world.create()
    kept = await world.outputs.open(app.id, ("builds", "b"))
    await kept.write(b"first ")
    url = world.parts.links.output(app.id, "builds", "b")
    with structlog.testing.capture_logs() as logged:
        async with asyncio.timeout(DEADLINE), world.session.get(url, headers={"Range": "bytes=0-"}) as response:
            assert await response.content.readexactly(6) == b"first "
            await kept.write(b"-" * OUTPUT_BYTES * 2)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
    await kept.close()
    assert not [line for line in logged if line["log_level"] == "error"]


async def test_not_started_yet(world: World) -> None:
    app = await world.create()
    await world.deployed(app)
    answer = await world.ask("GET", world.parts.links.output(app.id, "releases", "2"))
    assert (answer.status, answer.raw) == (404, b"Release command not started yet.\n")
    assert str(answer.header("Content-Type")).startswith("text/plain")


async def test_no_command_no_url(world: World) -> None:
    app = await world.create()
    release = await world.deployed(app)
    assert (await world.get(f"/apps/shop/releases/{release.version}"))["output_stream_url"] is None


async def test_a_builds_output(world: World) -> None:
    app = await world.create()
    build = await world.built(app)
    kept = await world.outputs.open(app.id, ("builds", build.id))
    await kept.write(b"-----> Building\n")
    await kept.close()
    shown = await world.get(f"/apps/shop/builds/{build.id}")
    assert (await world.ask("GET", shown["output_stream_url"])).raw == b"-----> Building\n"


@pytest.mark.parametrize("change", ["?cap=", "", "?cap=" + "0" * 64])
async def test_only_by_capability(world: World, change: str) -> None:
    app = await world.create()
    kept = await world.outputs.open(app.id, ("releases", "2"))
    await kept.close()
    path = world.parts.links.output(app.id, "releases", "2").partition("?")[0]
    answer = await world.call("GET", path.removeprefix(world.parts.public_url) + change)
    assert (answer.status, answer.json["id"]) == (404, "not_found")


async def test_one_apps_capability_opens_no_others(world: World) -> None:
    app, other = await world.create("shop"), await world.create("other")
    kept = await world.outputs.open(other.id, ("releases", "2"))
    await kept.close()
    url = world.parts.links.output(app.id, "releases", "2").replace(app.id, other.id)
    assert (await world.ask("GET", url)).status == 404


async def test_capabilities_are_never_logged_and_outside_the_etag(world: World) -> None:
    app = await world.create()
    world.engine.printed.put_nowait(None)
    await world.deployed(app, WITH_COMMAND)
    with structlog.testing.capture_logs() as logged:
        url = await output_url(world, 2)
        await world.ask("GET", url)
    signature = url.partition("cap=")[2]
    assert len(signature) == 64
    assert signature not in str(logged)
    assert len([line for line in logged if line["event"] == "request"]) == 2


async def test_a_reader_that_goes_away_harms_nobody(world: World) -> None:
    app = await world.create()
    kept = await world.outputs.open(app.id, ("releases", "2"))
    await kept.write(b"x" * 100)
    url = world.parts.links.output(app.id, "releases", "2")
    with structlog.testing.capture_logs() as logged:
        async with world.session.get(url) as response:
            assert await response.content.readexactly(100)
            response.close()
        for _ in range(50):
            await kept.write(b"x" * 100_000)
        await kept.close()
        assert len((await world.ask("GET", url)).raw) == 5_000_100
    assert not [line for line in logged if line["log_level"] == "error"]
