"""Other people's servers: a real one on this machine, which is private and must be allowed to be asked at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from paasd.adapters.web_fetch import WebFetch
from paasd.domain.errors import InvalidParams, WebUnavailable
from tests.daemon import free_port

HERE = WebFetch(["127.0.0.0/8"])


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/page":
                return web.Response(body=b"hello")
            case "/big":
                return web.Response(body=b"x" * 100_000)
            case "/slow":
                await asyncio.sleep(30)
            case "/packed":
                return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
            case "/inside":
                raise web.HTTPFound("http://10.0.0.1/")
            case "/round":
                raise web.HTTPFound("/round")
            case "/on":
                raise web.HTTPFound("/page")
        return web.Response(status=404, body=b"no")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_a_page_is_fetched_over_a_redirect(server: str) -> None:
    for path in ("/page", "/on"):
        reply = await HERE.fetch(server + path, max_bytes=5, seconds=5)
        assert (reply.status, reply.body) == (200, b"hello")
    assert (await HERE.fetch(f"{server}/none", max_bytes=5, seconds=5)).status == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8080/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://224.0.0.1/",
        "http://100.64.0.1/",
        "http://192.0.0.192/latest/meta-data",
        "http://168.63.129.16/?comp=versions",
        "http://192.88.99.1/",
        "http://[::7f00:1]/",
        "http://[::ffff:0:7f00:1]/",
        "http://[fec0::1]/",
    ],
)
async def test_private_addresses_are_not_asked(url: str) -> None:
    """Bites when `_may_ask` says yes."""
    for call in (WebFetch().check(url), WebFetch().fetch(url, max_bytes=1, seconds=5)):
        with pytest.raises(InvalidParams, match="not a public address"):
            await call


async def test_a_redirect_leads_to_no_private_address(server: str) -> None:
    with pytest.raises(InvalidParams, match=r"10\.0\.0\.1"):
        await HERE.fetch(f"{server}/inside", max_bytes=5, seconds=5)


@pytest.mark.parametrize(
    "url",
    ["", "page.html", "ftp://a/", "file:///etc/passwd", "http://", "http://a:99999/", "http://u:p@a/", "http://a/ b"],
)
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidParams, match="The URL"):
        await HERE.check(url)


@pytest.mark.parametrize(
    ("path", "words"),
    [("/big", "more than"), ("/slow", "within"), ("/packed", "packed"), ("/round", "from URL to URL")],
)
async def test_servers_that_do_not_do_as_they_should(server: str, path: str, words: str) -> None:
    with pytest.raises(WebUnavailable, match=words) as raised:
        await HERE.fetch(server + path, max_bytes=1000, seconds=0.5)
    assert path not in raised.value.message


async def test_a_host_that_is_away_may_come_back() -> None:
    await HERE.check("http://nowhere.invalid/")
    with pytest.raises(WebUnavailable):
        await HERE.fetch("http://nowhere.invalid/", max_bytes=1, seconds=5)
    with pytest.raises(WebUnavailable, match="can't be reached"):
        await HERE.fetch(f"http://127.0.0.1:{free_port()}/", max_bytes=1, seconds=5)
