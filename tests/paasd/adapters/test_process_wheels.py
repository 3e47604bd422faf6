"""The cache of wheels that all apps share, on processes: who writes to it, and who never does."""

import asyncio
import os
import uuid
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine
from paasd.adapters.process_slugs import Used
from paasd.domain.errors import BuildFailed
from paasd.domain.slug import SlugRecipe
from paasd.domain.stack import SHARED
from tests.contracts.engines import Bench
from tests.paasd.adapters.test_process_tools import bench, build, said, source

__all__ = ["bench", "source"]  # fixtures

SHOW = 'id -u; cat "$UV_CACHE_DIR/one" 2>/dev/null; mkdir -p "$UV_CACHE_DIR"; echo of-another > "$UV_CACHE_DIR/one"'
WHEELS = SlugRecipe(("list.txt",), (SHOW, 'echo brought > "$DEPS/it"'), wheels=True)


def printed(log: str) -> list[str]:
    return [line for line in log.splitlines() if not line.startswith("----->")]


async def test_apps_share_it_and_it_is_filled_by_a_user_that_none_of_them_is(bench: Bench, source: Path) -> None:
    """Where nothing keeps users apart, each app has its own instead. Bites: the cache of the first app's own, or a
    layer that stays the installer's."""
    assert isinstance(bench.engine, ProcessEngine)
    _, log = await build(bench, source, WHEELS)
    _, again = await build(bench, source, WHEELS, str(uuid.uuid4()))
    root = os.geteuid() == 0
    assert ("of-another" in printed(again)) is root
    assert "of-another" not in printed(log)
    if root:
        assert printed(log)[0] == printed(again)[0] == str(bench.engine._slugs.users[-1])
    spoil = 'cat "$VIRTUAL/it"; for f in it new; do echo x > "$VIRTUAL/$f" && echo CHANGED; done 2>/dev/null; true'
    artifact, _ = await build(
        bench, source, SlugRecipe(("list.txt",), WHEELS.dependencies, env={"VIRTUAL": "{deps}"}, wheels=True)
    )
    told = await said(bench, artifact, spoil)
    assert told.startswith("brought")
    if root:
        assert "CHANGED" not in told


async def test_what_builds_as_an_app_neither_sees_nor_changes_it(bench: Bench, source: Path) -> None:
    """Bites: the shared cache handed to commands that run a package's own code."""
    if os.geteuid() != 0:
        pytest.skip("without root each app has a cache of its own")
    assert isinstance(bench.engine, ProcessEngine)
    await build(bench, source, WHEELS)
    cache = bench.engine._slugs.cache(SHARED)
    assert (cache / "uv" / "one").exists()
    look = f'echo "$UV_CACHE_DIR"; ls {cache} && echo SEEN; echo x > {cache}/planted && echo CHANGED; '
    look += f"rm -rf {cache}/uv; true"
    artifact, log = await build(bench, source, SlugRecipe(("list.txt",), (look,), commands=(look,)))
    lines = printed(log)
    assert str(cache) not in {lines[0]} and "SEEN" not in lines and "CHANGED" not in lines
    told = await said(bench, artifact, look)
    assert "SEEN" not in told and "CHANGED" not in told
    assert [one.name for one in cache.iterdir()] == ["uv"] and (cache / "uv" / "one").exists()


async def test_it_is_measured_and_emptied_but_not_under_a_build(bench: Bench, source: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("without root each app has a cache of its own")
    assert isinstance(bench.engine, ProcessEngine) and bench.engine._builder is not None
    await build(bench, source, WHEELS)
    assert (await bench.engine.cache_sizes())[SHARED] > 0
    bench.engine._builder.wanted["under way"] = Used()
    assert await bench.engine.purge_cache(SHARED) == 0
    assert (await bench.engine.cache_sizes())[SHARED] > 0
    bench.engine._builder.wanted.clear()
    await build(bench, source, SlugRecipe(commands=("true",)))
    assert (await bench.engine.cache_sizes())[SHARED] == 0, "not emptied when the last build had ended"
    await build(bench, source, WHEELS, str(uuid.uuid4()))
    await build(bench, source, SlugRecipe(commands=("true",)))
    assert (await bench.engine.cache_sizes())[SHARED] > 0, "emptied again, for nothing"
    assert await bench.engine.purge_cache(SHARED) > 0
    assert (await bench.engine.cache_sizes())[SHARED] == 0


async def test_a_build_that_begins_while_it_is_emptied_has_another(bench: Bench, source: Path) -> None:
    """Bites: what is found there is removed from below a build's uv, which ends with "No such file or directory"."""
    if os.geteuid() != 0:
        pytest.skip("without root each app has a cache of its own")
    assert isinstance(bench.engine, ProcessEngine)
    await build(bench, source, WHEELS)
    cache = bench.engine._slugs.cache(SHARED)
    assert (cache / "uv" / "one").exists()
    purge = asyncio.create_task(bench.engine.purge_cache(SHARED))
    await asyncio.sleep(0)  # a step of the loop: no build could begin before that
    assert not purge.done() and not (cache / "uv").exists()
    (cache / "uv").mkdir()
    assert await purge > 0
    assert (cache / "uv").exists()
    assert cache.stat().st_uid == bench.engine._slugs.users[-1] and not [*cache.parent.glob("wheels.*")]


async def test_after_a_purge_an_apps_dependencies_are_installed_anew(bench: Bench, source: Path) -> None:
    """What is broken in them may be in the layer, too. Bites: a layer whose name does not say how often."""
    recipe, app = SlugRecipe(("list.txt",), ("echo installing",)), str(uuid.uuid4())
    for printing in (["installing"], []):
        _, log = await build(bench, source, recipe, app)
        assert printed(log) == printing
    await bench.engine.purge_cache(app)
    for printing in (["installing"], []):
        _, log = await build(bench, source, recipe, app)
        assert printed(log) == printing


async def test_checks_run_as_the_app_before_anything_is_installed(bench: Bench, source: Path) -> None:
    """Bites: the installer's user, by whom what a check runs could plant in what all apps share."""
    assert isinstance(bench.engine, ProcessEngine)
    check = 'id -u; echo "$UV_CACHE_DIR"; cat list.txt'
    recipe = SlugRecipe(("list.txt",), ("echo installing",), checks=(check,), wheels=True)
    app = str(uuid.uuid4())
    _, log = await build(bench, source, recipe, app)
    user = (bench.engine._slugs.user(app) or (os.geteuid(),))[0]
    cache = bench.engine._slugs.cache(app)
    assert printed(log) == [str(user), str(cache / "uv"), "private", "installing"]
    _, log = await build(bench, source, recipe, app)
    assert printed(log) == [], "what is not made again is not checked again"
    (source / "list.txt").write_text("stale\n")
    with pytest.raises(BuildFailed, match="exited with status 1"):
        await build(
            bench, source, SlugRecipe(("list.txt",), ("echo installing",), checks=("exit 1",), wheels=True), app
        )
