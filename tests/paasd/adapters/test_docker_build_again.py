"""A step that the classic builder found in its cache goes with another image while it builds: the words are the
engine's own, seen where one image was removed as another was built."""

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from paasd.adapters.docker_api import DockerApi, DockerSettings
from paasd.adapters.docker_build import Builder
from paasd.domain.errors import BuildFailed
from paasd.ports import BuildSpec

DIGEST = "sha256:c6efd52a60581e5b66afafa88f5ee0aad597d3dec3d87660be86fb2b9779b4c9"
FILE = f"/var/lib/docker/image/overlay2/imagedb/content/sha256/{DIGEST[7:]}"
GONE = f"failed to get digest {DIGEST}: open {FILE}: no such file or directory"


@asynccontextmanager
async def engine_that_says(*answers: Mapping[str, object]) -> AsyncIterator[tuple[DockerApi, list[int]]]:
    """One answer a build, and the bytes of context that each was sent."""
    left, sent = list(answers), list[int]()

    async def build(request: web.Request) -> web.Response:
        sent.append(len(await request.read()))
        return web.Response(text=json.dumps(left.pop(0)) + "\r\n")

    async def show(_request: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41", "Id": DIGEST, "Size": 1})

    app = web.Application()
    app.add_routes([web.get("/version", show), web.post("/v1.41/build", build), web.get("/{what:.*}/json", show)])
    runner = web.AppRunner(app)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        await web.UnixSite(runner, f"{folder}/docker.sock").start()
        api = DockerApi(DockerSettings(host=f"unix://{folder}/docker.sock"))
        try:
            yield api, sent
        finally:
            await api.close()
            await runner.cleanup()


async def built(api: DockerApi, source: Path) -> str:
    async def output(_data: bytes) -> None: ...

    spec = BuildSpec("app", "build", "paasd/shop:b-1", "FROM scratch\nCOPY . /\n")
    return (await Builder(api, "home", 1 << 30, b"secret").build(source, spec, output, buildkit=False)).name


async def test_a_build_whose_cache_went_meanwhile_is_built_again_once(tmp_path: Path) -> None:
    """With all of its source. Bites: without REMOVED_MEANWHILE it fails at once."""
    gone, done = {"errorDetail": {"message": GONE}}, {"aux": {"ID": DIGEST}}
    async with engine_that_says(gone, done) as (api, sent):
        assert await built(api, tmp_path) == DIGEST
        assert len(sent) == 2 and sent[0] == sent[1] > 0
    async with engine_that_says(gone, gone, done) as (api, sent):
        with pytest.raises(BuildFailed, match="failed to get digest"):
            await built(api, tmp_path)


async def test_what_the_source_is_to_blame_for_is_built_once(tmp_path: Path) -> None:
    async with engine_that_says({"errorDetail": {"message": "COPY failed: no such file"}}) as (api, sent):
        with pytest.raises(BuildFailed, match="no such file"):
            await built(api, tmp_path)
        assert len(sent) == 1
