"""Layers that BuildKit keeps for all: what one app's build was given is in none that another app's build takes."""

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.docker_api import DockerSettings
from paasd.ports import BuildSpec
from tests.contracts.engines import STACK, Bench, docker_bench

pytestmark = pytest.mark.docker


class Log:
    """A Write that keeps what it got."""

    def __init__(self) -> None:
        self.text = ""

    async def __call__(self, data: bytes) -> None:
        self.text += data.decode()


def recipe(bench: Bench, dockerfile: str, app_id: str, secret: str | None = None) -> BuildSpec:
    build_id = str(uuid.uuid4())
    name = f"paasd-test/{bench.home}:b-{build_id[:8]}"
    spec = BuildSpec(app_id, build_id, name, dockerfile, timeout=100.0)
    return replace(spec, secrets={"TOKEN": secret.encode()}) if secret is not None else spec


async def told(bench: Bench, source: Path, spec: BuildSpec) -> str:
    await bench.engine.build(source, spec, log := Log())
    return log.text


async def test_a_step_that_saw_the_secret_of_one_app_is_no_other_app_s(tmp_path: Path) -> None:
    """Whoever has the same Dockerfile and files would get what was fetched with another's token, or leave them what
    an index of his own served. Bites: without `extrahosts` the second build takes the first one's layer."""
    step = "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /fetched\n"
    dockerfile = f"FROM {STACK}\nUSER root\nENV N={uuid.uuid4()}\n{step}"
    look = "RUN echo fetched: $(cat /fetched)\n"
    async with asyncio.timeout(150), docker_bench(DockerSettings(buildkit=True), network=False) as bench:
        shop, mallory = str(uuid.uuid4()), str(uuid.uuid4())
        await told(bench, tmp_path, recipe(bench, dockerfile, shop, "shops"))
        assert "fetched: mallorys" in await told(bench, tmp_path, recipe(bench, dockerfile + look, mallory, "mallorys"))
        again = await told(bench, tmp_path, recipe(bench, dockerfile, shop, "other"))
        assert "/fetched (2/2, cached)" in again


async def test_a_step_that_saw_the_cache_of_one_app_is_no_other_app_s(tmp_path: Path) -> None:
    """Bites: without `buildargs` in `_build`."""
    mount = "RUN --mount=type=cache,id=pip,target=/c"
    begin = f"FROM {STACK}\nUSER root\nENV N={uuid.uuid4()}\n"
    step = f"{begin}{mount} cat /c/planted >/taken || true\n"
    async with asyncio.timeout(150), docker_bench(DockerSettings(buildkit=True), network=False) as bench:
        shop, mallory = str(uuid.uuid4()), str(uuid.uuid4())
        await told(bench, tmp_path, recipe(bench, f"{begin}{mount} echo planted >/c/planted\n", mallory))
        await told(bench, tmp_path, recipe(bench, step, mallory))
        found = await told(bench, tmp_path, recipe(bench, f"{step}RUN echo taken: $(cat /taken)\n", shop))
        assert "taken: planted" not in found
