"""Sources over the wire: a place to put an archive, by capability URL, and builds of what is put or fetched."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from paasd.adapters.web_fetch import WebFetch
from tests.daemon import free_port
from tests.paasd.adapters.tars import Entry, packed, zipped
from tests.paasd.api.world import DEADLINE, Answer, World

ARCHIVE = zipped(packed(Entry("Procfile", b"web: serve")))


async def place(world: World) -> dict[str, str]:
    """put_url and get_url."""
    answer = await world.call("POST", "/sources")
    assert answer.status == 201
    return dict(answer.json["source_blob"])


async def build(world: World, url: str, **more: object) -> Answer:
    return await world.call("POST", "/apps/shop/builds", {"source_blob": {"url": url, **more}})


async def output(world: World, answer: Answer) -> str:
    """Of a build, to its end."""
    async with asyncio.timeout(DEADLINE):
        return (await world.ask("GET", answer.json["output_stream_url"])).raw.decode()


async def test_put_and_get_need_no_token_but_each_its_own_url(world: World) -> None:
    blob = await place(world)
    assert (await world.ask("GET", blob["get_url"])).status == 404
    put = await world.ask("PUT", blob["put_url"], data=ARCHIVE, headers={"Content-Type": ""})
    assert (put.status, put.json) == (200, {"size": len(ARCHIVE)})
    assert (await world.ask("GET", blob["get_url"])).raw == ARCHIVE
    for method, url in (("GET", blob["put_url"]), ("PUT", blob["get_url"]), ("PUT", blob["put_url"] + "0")):
        assert (await world.ask(method, url, data=ARCHIVE)).status == 404
    other = await place(world)
    swapped = f"{blob['put_url'].partition('?')[0]}?{other['put_url'].partition('?')[2]}"
    assert (await world.ask("PUT", swapped, data=ARCHIVE)).status == 404
    assert (await world.ask("POST", "/sources")).status == 401


async def test_a_hostile_archive_is_refused_at_once(world: World) -> None:
    await world.create()
    blob = await place(world)
    for archive, words in (
        (packed(Entry("../x")), "leads out of it"),
        (b"hello", "not a whole tar"),
        (b"x" * 1_000_001, "larger than 1 MB"),
    ):
        answer = await world.ask("PUT", blob["put_url"], data=archive)
        assert (answer.status, answer.json["id"]) == (422, "invalid_params")
        assert words in answer.json["message"]
        assert (await build(world, blob["get_url"])).status == 422


async def test_a_build_of_what_was_put(world: World) -> None:
    app = await world.create()
    blob = await place(world)
    await world.ask("PUT", blob["put_url"], data=ARCHIVE)
    answer = await build(world, blob["get_url"], version="v7", version_description="Sell more", checksum=None)
    assert answer.status == 201
    assert (answer.json["status"], answer.json["source_blob"]["version"]) == ("pending", "v7")
    assert answer.json["source_blob"]["version_description"] == "Sell more"
    said = await output(world, answer)  # repositories are fakes here: it comes no further
    assert "-----> Source received" in said
    shown = await world.get(f"/apps/shop/builds/{answer.json['id']}")
    assert (shown["status"], shown["failure"] in said) == ("failed", True)
    newest = (await world.store.audit(app_id=app.id))[0]
    assert (newest.path, newest.detail["build"]) == ("/apps/shop/builds", answer.json["id"])


async def test_what_makes_no_build(world: World) -> None:
    await world.create()
    blob = await place(world)
    await world.ask("PUT", blob["put_url"], data=ARCHIVE)
    bodies: list[dict[str, object]] = [{}, {"source_blob": "x"}, {"source_blob": {}}, {"source_blob": {"url": 1}}]
    for body in bodies:
        assert (await world.call("POST", "/apps/shop/builds", body)).status == 422
    for more in ({"checksum": "MD5:1"}, {"version": "a\nb"}, {"version": "x" * 201}, {"version": 7}):
        assert (await build(world, blob["get_url"], **more)).status == 422
    assert (await build(world, blob["get_url"].replace("cap=", "cap=0"))).status == 422
    assert await world.get("/apps/shop/builds") == []


class Listener:
    """Counts who connects to this machine's loopback, and never answers."""

    def __init__(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.bind((address, 0))
        self._socket.listen(16)
        self._socket.settimeout(0.0)
        self.port = int(self._socket.getsockname()[1])

    def connects(self) -> int:
        """So many until now."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener("127.0.0.1")
    yield listener
    listener.close()


@pytest.mark.row("S08", "URLs of sources that lead inside")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.tgz", "http://localhost:{port}/a.tgz", "http://[::1]:{port}/", "http://0x7f.1:{port}/",
        "http://2130706433:{port}/", "http://127.1:{port}/", "http://0:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
        "http://169.254.169.254/latest/", "http://10.0.0.1/", "http://[64:ff9b::7f00:1]:{port}/", "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/", "http://user:pw@127.0.0.1:{port}/", "nonsense",
        "http://127.0.0.1:{port}\r\nX: y/", "//127.0.0.1:{port}/",
    ],
)  # fmt: skip
async def test_a_url_that_leads_inside_is_refused_unasked(world: World, listener: Listener, url: str) -> None:
    """Bites: _may_ask answering True: the listener sees a connection."""
    await world.create()
    answer = await build(world, url.format(port=listener.port))
    assert (answer.status, answer.json["id"]) == (422, "invalid_params")
    assert listener.connects() == 0
    assert await world.get("/apps/shop/builds") == []


@pytest.mark.row("S08", "URLs of sources that lead inside")
async def test_a_name_that_changes_its_mind_reaches_nobody_here(
    world: World, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolved when it is checked and again when it is fetched; what was checked then is what is connected to.

    Bites: the connector resolving for itself (no _Pinned) connects to the third answer, which is here.
    """
    await world.create()
    loop, answers = asyncio.get_running_loop(), iter(["192.0.2.1", "198.51.100.1"])
    monkeypatch.setattr(WebFetch, "_may_ask", lambda _, address: str(address) != "127.0.0.1")
    asked = []

    async def rebinding(host: str, port: object, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = next(answers, "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    monkeypatch.setattr("paasd.services.archives.FETCH_SECONDS", 1.0)
    answer = await build(world, f"http://rebinding.example.org:{listener.port}/a.tgz")
    monkeypatch.undo()
    assert answer.status == 201
    assert " !     rebinding.example.org " in await output(world, answer)
    assert listener.connects() == 0
    assert asked[:2] == ["rebinding.example.org"] * 2


@pytest.fixture
async def elsewhere(world: World, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A server at 127.0.0.2, which the settings allow; what is at 127.0.0.1 they don't."""

    async def serve(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/a.tgz":
                return web.Response(body=ARCHIVE)
            case "/inside":
                raise web.HTTPFound(f"http://127.0.0.1:{listener.port}/")
            case "/file":
                raise web.HTTPFound("file:///etc/passwd")
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                with contextlib.suppress(ConnectionError):
                    while True:
                        await response.write(b"x" * 65536)
            case "/slow":
                await asyncio.sleep(30)
            case "/bomb":
                return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.2", port := free_port()).start()
    object.__setattr__(world.parts, "archives", replace(world.parts.archives, web=WebFetch(["127.0.0.2/32"])))
    monkeypatch.setattr("paasd.services.archives.FETCH_SECONDS", 1.0)
    await world.create()
    yield f"http://127.0.0.2:{port}"
    await runner.cleanup()


@pytest.mark.row("S08", "URLs of sources that lead inside")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/inside", "not a public address"),
        ("/file", "can't be asked"),
        ("/endless", "sent more than 1000000 bytes"),
        ("/slow", "did not answer in whole within 1 seconds"),
        ("/bomb", "sent something packed"),
        ("/none", "answered with HTTP 404"),
    ],
)
async def test_a_server_that_means_no_good(
    world: World, listener: Listener, elsewhere: str, path: str, words: str
) -> None:
    """Bites: redirects followed by aiohttp itself; max_bytes or the deadline left out of `download`."""
    answer = await build(world, elsewhere + path)
    assert answer.status == 201
    assert words in await output(world, answer)
    assert (await world.get(f"/apps/shop/builds/{answer.json['id']}"))["status"] == "failed"
    assert listener.connects() == 0


async def test_a_url_that_is_allowed_is_fetched(world: World, elsewhere: str) -> None:
    said = await output(world, await build(world, f"{elsewhere}/a.tgz"))
    assert f"-----> Fetching the source from {urlsplit(elsewhere).hostname}" in said
    assert "-----> Source received" in said
