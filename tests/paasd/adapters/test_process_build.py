"""Builds into slugs: layers made once, commands in a sandbox, refusals that say what to do."""

import asyncio
import contextlib
import json
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine
from paasd.adapters.process_slugs import Slug, now
from paasd.domain.dyno import DynoKind
from paasd.domain.errors import BuildFailed
from paasd.domain.slug import STATIC_SERVER, SlugRecipe, SlugTool
from paasd.ports import BuildSpec
from tests.contracts.engines import ENGINES, PROCESS, SLEEP, Bench, eventually

TOOL = (
    'mkdir -p "$DEPS/bin"; printf "#!/bin/sh\\necho tool of $(cat list.txt)\\n" > "$DEPS/bin/tool"; '
    'chmod 755 "$DEPS/bin/tool"'
)


@pytest.fixture(params=[PROCESS, "bare"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with asyncio.timeout(60), ENGINES[request.param]() as opened:
        yield opened


class Log:
    def __init__(self) -> None:
        self.text = ""

    async def __call__(self, data: bytes) -> None:
        self.text += data.decode()


def recipe(bench: Bench, slug: SlugRecipe | None) -> BuildSpec:
    build_id = str(uuid.uuid4())
    return BuildSpec(bench.app_id, build_id, f"paasd/shop:b-{build_id[:8]}", "FROM scratch\n", slug=slug)


async def said(bench: Bench, artifact: str, command: str) -> bytes:
    terminal = await bench.engine.attach(bench.spec(command, kind=DynoKind.ONE_OFF, artifact=artifact))
    try:
        return b"".join([chunk async for chunk in terminal.output()])
    finally:
        await terminal.close()


async def test_dependencies_are_made_once_for_what_they_are_made_of(bench: Bench, tmp_path: Path) -> None:
    """Bites: the key made of the whole source, or of nothing."""
    slug = SlugRecipe(("list.txt",), (TOOL,), path=("bin",), env={"PLACE": "{deps}"})
    (tmp_path / "list.txt").write_text("one")
    (tmp_path / "app.py").write_text("1")
    log = Log()
    first = await bench.engine.build(tmp_path, recipe(bench, slug), log)
    assert TOOL in log.text
    (tmp_path / "app.py").write_text("2")
    log = Log()
    second = await bench.engine.build(tmp_path, recipe(bench, slug), log)
    assert TOOL not in log.text
    assert "Using the dependencies of the build before" in log.text
    (tmp_path / "list.txt").write_text("two")
    third = await bench.engine.build(tmp_path, recipe(bench, slug), Log())
    assert [await said(bench, each.name, "tool; cat app.py") for each in (first, second, third)] == [
        b"tool of one\n1",
        b"tool of one\n2",
        b"tool of two\n2",
    ]


async def test_a_dyno_can_write_to_its_app_and_changes_no_other(bench: Bench, tmp_path: Path) -> None:
    """Bites: dynos that share the layer's folder instead of having copies."""
    (tmp_path / "app.py").write_text("1")
    slug = SlugRecipe((), ('mkdir -p "$DEPS"; echo kept > "$DEPS/file"',), env={"PLACE": "{deps}"})
    artifact = await bench.engine.build(tmp_path, recipe(bench, slug), Log())
    spoil = (
        'echo spoilt > app.py; echo new > new; cat app.py; (echo spoilt > "$PLACE/file") 2>/dev/null; cat "$PLACE/file"'
    )
    assert await said(bench, artifact.name, spoil) == b"spoilt\nkept\n"
    assert await said(bench, artifact.name, 'ls; cat app.py "$PLACE/file"') == b"app.py\n1kept\n"


async def test_the_server_of_static_files_is_found_where_images_have_it(bench: Bench, tmp_path: Path) -> None:
    """Bites: a web process that ends, since /opt/static is on no machine."""
    (tmp_path / "index.html").write_text("<h1>Here</h1>")
    artifact = await bench.engine.build(tmp_path, recipe(bench, SlugRecipe(static=True)), Log())
    dyno = await bench.engine.start(bench.spec(f"python3 {STATIC_SERVER}", artifact=artifact.name, port=5000))

    async def page() -> bytes:
        try:
            reader, writer = await asyncio.open_connection(dyno.address, dyno.port)
        except ConnectionRefusedError:
            return b""
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    assert b"<h1>Here</h1>" in await eventually(page)
    assert dyno.command == f"python3 {STATIC_SERVER}"  # `ps` says the same on each engine


OVERLAYS = os.geteuid() == 0 and "overlay" in Path("/proc/filesystems").read_text()


@pytest.mark.skipif(
    not OVERLAYS, reason="files are shown without a copy where paasd is root and the kernel has overlays"
)
async def test_a_dyno_s_files_are_not_copied(bench: Bench, tmp_path: Path) -> None:
    """Bites: a copy of a node_modules, 10,000 files, which takes half a second of a processor for each dyno."""
    (tmp_path / "app.py").write_text("1")
    artifact = await bench.engine.build(tmp_path, recipe(bench, SlugRecipe()), Log())
    dyno = await bench.engine.start(bench.spec(f"echo mine > own; echo 2 > app.py; {SLEEP}", artifact=artifact.name))
    look = "stat -f -c %T .; cat own app.py; echo 3 > app.py; rm own; cat app.py; ls"

    async def there() -> bytes:
        shell = await bench.engine.exec(dyno.id, look, {}, size=None)
        try:
            return b"".join([chunk async for chunk in shell.output()])
        finally:
            await shell.close()

    async def wrote() -> bool:
        shell = await bench.engine.exec(dyno.id, "test -s own && grep -q 2 app.py", {}, size=None)
        try:
            return (await shell.wait()).code == 0
        finally:
            await shell.close()

    await eventually(wrote)
    assert await there() == b"overlayfs\nmine\n2\n3\napp.py\n"
    mounts = await asyncio.to_thread(Path("/proc/self/mounts").read_text)
    assert dyno.id not in mounts  # nobody else has it
    await bench.engine.stop(dyno.id, grace=0)
    assert await said(bench, artifact.name, "cat app.py") == b"1"


async def test_system_packages_that_are_not_here_are_said(bench: Bench, tmp_path: Path) -> None:
    """Bites: an Aptfile passed over without a word, and an app that ends where it misses what it asked for."""
    log = Log()
    await bench.engine.build(tmp_path, recipe(bench, SlugRecipe(packages=("no-such-package", "dpkg"))), log)
    assert " !     The Aptfile asks for no-such-package" in log.text
    assert "Its operator can: apt-get install no-such-package" in log.text


async def test_a_layer_that_a_build_has_just_taken_does_not_go_with_an_older_artifact(
    bench: Bench, tmp_path: Path
) -> None:
    """While all artifacts are read to see what is used, a build ends that found its layers there. Bites: an app whose
    dynos have no files, from its next start on; broken by `Builder.keep` that notes nothing."""
    assert isinstance(bench.engine, ProcessEngine)
    (tmp_path / "app.py").write_text("1")
    slug = SlugRecipe((), ('echo kept > "$DEPS/file"',), env={"PLACE": "{deps}"})
    older = await bench.engine.build(tmp_path, recipe(bench, slug), Log())
    slow = bench.engine._root / "artifacts" / f"{'f' * 64}.json"
    os.mkfifo(slow)  # who reads it waits for somebody to write
    deleting = asyncio.create_task(bench.engine.delete_artifact(older.name))

    async def opened() -> int:
        with contextlib.suppress(OSError):
            return os.open(slow, os.O_WRONLY | os.O_NONBLOCK)
        return 0

    writer = await eventually(opened)
    newer = await bench.engine.build(tmp_path, recipe(bench, slug), Log())
    os.write(writer, json.dumps(Slug("other", "b", now(), 1, None, None).content()).encode())
    os.close(writer)
    await deleting
    slow.unlink()
    assert [each.name for each in await bench.engine.artifacts()] == [newer.name]
    assert await said(bench, newer.name, 'cat app.py "$PLACE/file"') == b"1kept\n"


async def test_commands_have_a_home_that_they_may_write_to(bench: Bench, tmp_path: Path) -> None:
    """Also those that install what is shared. Bites: in a sandbox a home that there is not: npm's cache, and packages
    that keep a browser in ~/.cache, end with EACCES; broken by `_home` that is always the place's own folder."""
    keep = 'mkdir -p "$HOME/.cache" "$NPM_CONFIG_CACHE/_logs" && touch "$HOME/.cache/x" "${TMPDIR:-/tmp}/y"'
    tool = SlugTool("keeper 1", (keep,))
    await bench.engine.build(tmp_path, recipe(bench, SlugRecipe((), (keep,), (keep,), tools=(tool,))), Log())


async def test_links_and_modes_arrive(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "bin" / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("bin/run")
    artifact = await bench.engine.build(tmp_path, recipe(bench, SlugRecipe()), Log())
    assert await said(bench, artifact.name, "./link; readlink link; id -u | grep -c -v '^0$'") == b"ran\nbin/run\n1\n"


async def test_a_dockerfile_needs_the_docker_engine(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="--engine docker"):
        await bench.engine.build(tmp_path, recipe(bench, None), Log())


async def test_a_build_that_takes_too_long_is_stopped(bench: Bench, tmp_path: Path) -> None:
    """Bites: the command's tree left running; its folder, kept in use, would still be listed."""
    slow = replace(recipe(bench, SlugRecipe(commands=("setsid sleep 77 & sleep 77",))), timeout=0.5)
    with pytest.raises(BuildFailed, match=r"longer than 0\.5 seconds"):
        await bench.engine.build(tmp_path, slow, Log())
    assert not await bench.engine.artifacts()
    assert not await asyncio.to_thread(running, b"sleep\x0077")


async def test_a_half_made_layer_of_a_failed_build_is_not_used(bench: Bench, tmp_path: Path) -> None:
    slug = SlugRecipe((), ('test -f "$CACHE/again" || { touch "$CACHE/again"; exit 3; }', 'touch "$DEPS/made"'))
    with pytest.raises(BuildFailed, match="exited with status 3"):
        await bench.engine.build(tmp_path, recipe(bench, slug), Log())
    log = Log()
    await bench.engine.build(tmp_path, recipe(bench, slug), log)
    assert "made" in log.text


def running(words: bytes) -> list[Path]:
    """Processes with these words in their command."""
    found = []
    for pid in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if words in (pid / "cmdline").read_bytes():
                found.append(pid)
    return found
