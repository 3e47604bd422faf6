"""What a base brings (ONBUILD) is looked at when it is built upon, not only when it was made."""

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.docker_api import DockerSettings
from paasd.domain.errors import BuildFailed
from tests.contracts.engines import STACK, docker_bench
from tests.paasd.adapters.test_docker_build import Log, recipe

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("buildkit", [True, False])
async def test_an_image_that_came_later_is_another_app_s_too(tmp_path: Path, *, buildkit: bool) -> None:
    """Nobody's yet when the base names it. Bites: without `named_images(triggers)` in `_build`, and classic."""
    (tmp_path / "secret").write_text("private")
    async with asyncio.timeout(120), docker_bench(DockerSettings(buildkit=buildkit), network=False) as bench:
        theirs = replace(recipe(bench, f"FROM {STACK}\nCOPY secret /secret\n"), app_id=str(uuid.uuid4()))
        mine = recipe(bench, f"FROM {STACK}\nONBUILD COPY --from={theirs.name} /secret /secret\n")
        await bench.engine.build(tmp_path, mine, Log())
        await bench.engine.build(tmp_path, theirs, Log())
        with pytest.raises(BuildFailed, match="which is another app's image"):
            await bench.engine.build(tmp_path, recipe(bench, f"FROM {mine.name}\n"), Log())
