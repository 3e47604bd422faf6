"""Programs that all apps' builds share: installed once, by nobody's app, for nobody's app to change."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine
from paasd.adapters.process_tools import LEFT_SECONDS, key_of
from paasd.domain.dyno import DynoKind
from paasd.domain.errors import BuildFailed, DynoUnhealthy
from paasd.domain.slug import SlugRecipe, SlugTool
from paasd.ports import BuildSpec
from tests.contracts.engines import BARE, ENGINES, PROCESS, Bench, eventually

MAKE = 'mkdir "$TOOL/bin"; printf "#!/bin/sh\\necho hello from $0\\n" > "$TOOL/bin/greet"; chmod -R 777 "$TOOL"'
GREET = SlugTool("greet 1.2", (MAKE,), ("machine 1",))
STAYS = replace(GREET, name="greet 1.3", made_with=("machine 2",), stays=True)


@pytest.fixture(params=[PROCESS, BARE])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with asyncio.timeout(60), ENGINES[request.param]() as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "list.txt").write_text("private\n")
    return tmp_path


def shared(bench: Bench) -> Path:
    assert isinstance(bench.engine, ProcessEngine)
    return bench.engine._root / "shared"


async def build(
    bench: Bench, source: Path, slug: SlugRecipe, app: str = "", said: bytearray | None = None
) -> tuple[str, str]:
    """(the artifact, the log, which `said` has while it is made)"""
    said = bytearray() if said is None else said

    async def keep(data: bytes) -> None:
        said.extend(data)

    app, build_id = app or bench.app_id, str(uuid.uuid4())
    spec = BuildSpec(app, build_id, f"paasd/{app}:b-{build_id[:8]}", "FROM scratch\n", slug=slug)
    return (await bench.engine.build(source, spec, keep)).name, said.decode()


async def said(bench: Bench, artifact: str, command: str) -> str:
    terminal = await bench.engine.attach(bench.spec(command, kind=DynoKind.ONE_OFF, artifact=artifact))
    try:
        return b"".join([chunk async for chunk in terminal.output()]).decode()
    finally:
        await terminal.close()


async def test_it_is_installed_once_for_all_apps(bench: Bench, source: Path) -> None:
    """Also where two want it at once. Bites: an installation for each app, or two into one folder; broken by `ensure`
    without its turn."""
    slug = SlugRecipe(("list.txt",), ('greet > "$DEPS/said"', 'cat "$DEPS/said"'), tools=(GREET,))
    both = await asyncio.gather(*(build(bench, source, slug, str(uuid.uuid4())) for _ in range(2)))
    _, third = await build(bench, source, slug)
    logs = [*(log for _, log in both), third]
    assert all("\nhello from /" in log for log in logs)
    assert sum("-----> Installing greet 1.2, once for all apps\n" in log for log in logs) == 1
    assert sum("-----> Waiting for greet 1.2, which another build installs\n" in log for log in logs) == 1
    assert "greet 1.2" not in third
    (link, folder) = sorted(shared(bench).iterdir())
    assert (link.name, link.resolve().name) == (key_of(GREET), folder.name)


async def test_no_app_can_change_it_and_each_can_run_it(bench: Bench, source: Path) -> None:
    """Neither its build nor its dynos, whatever modes the installer gave. Bites: broken by `seal` left out (what the
    installer opened to all stays open), and by an installation as the app's own user."""
    if os.geteuid() != 0 and bench.home != "process":
        pytest.skip("without root and without bubblewrap nothing keeps them apart")
    spoil = (
        'p=$(command -v greet); d=$(dirname "$p"); r=$(dirname "$d"); '
        'for try in "echo x >> $p" "touch $d/new" "rm -f $p" "mv $p $d/other" "chmod 777 $d" "mkdir $r/new" '
        '"ln -s /tmp $r/tmp" "mv $r $r.gone" "touch $(dirname "$r")/planted"; do '
        'sh -c "$try" 2>/dev/null && echo "CHANGED $try"; done; greet'
    )
    slug = SlugRecipe(("list.txt",), (spoil,), commands=(spoil,), tools=(STAYS,))
    artifact, log = await build(bench, source, slug)
    printed = [line for line in log.splitlines() if not line.startswith("----->")]
    assert [line for line in printed if "CHANGED" in line] == []
    assert sum("hello from /" in line for line in printed) == 2
    assert (await said(bench, artifact, spoil)).startswith("hello from /")
    place = (shared(bench) / key_of(STAYS)).resolve()
    (program,) = (place / "bin").iterdir()
    assert program.name == "greet" and program.read_text().startswith("#!/bin/sh\necho hello")
    for path in (place, place / "bin", program):
        found = path.stat()
        assert (found.st_uid, oct(found.st_mode & 0o777)) == (os.geteuid(), "0o755")


async def test_whoever_installs_it_sees_no_app_s_files_and_is_no_app_s_user(bench: Bench, source: Path) -> None:
    """Bites: an app's .npmrc or setup.py that decides what all others run."""
    slug = SlugRecipe((), ("true",))
    await build(bench, source, slug)
    apps = shared(bench).with_name("apps")
    look = f'test -z "$(ls -A)" && echo EMPTY; ls {apps} {apps}/{bench.app_id}/cache 2>/dev/null && echo SEEN; id -u'
    tool = replace(GREET, commands=(look, MAKE))
    _, log = await build(bench, source, SlugRecipe(("list.txt",), ("id -u",), tools=(tool,)))
    lines = [line for line in log.splitlines() if not line.startswith("----->")]
    assert lines[0] == "EMPTY" and "SEEN" not in lines
    assert isinstance(bench.engine, ProcessEngine)
    if os.geteuid() == 0:
        installer, app = map(int, lines[1:3])
        assert installer == bench.engine._slugs.users[-1] != app


async def test_dynos_find_what_stays_and_not_what_only_installs(bench: Bench, source: Path) -> None:
    artifact, _ = await build(bench, source, SlugRecipe((), ("true",), tools=(STAYS,)))
    assert (await said(bench, artifact, "greet")).startswith("hello from /")
    artifact, log = await build(bench, source, SlugRecipe((), ("greet",), ("! command -v greet",), tools=(GREET,)))
    assert "\nhello from /" in log
    assert await said(bench, artifact, "command -v greet || echo none") == "none\n"


async def test_one_that_was_removed_by_hand_is_said(bench: Bench, source: Path) -> None:
    slug = SlugRecipe((), ("true",), tools=(STAYS,))
    artifact, _ = await build(bench, source, slug)
    (shared(bench) / key_of(STAYS)).unlink()
    with pytest.raises(DynoUnhealthy, match="A program that the app was built with is gone; push its commit again"):
        await said(bench, artifact, "greet")
    again, log = await build(bench, source, slug)
    assert "Installing greet 1.3" in log and (await said(bench, again, "greet")).startswith("hello from /")


async def test_a_failed_installation_leaves_nothing_and_the_next_begins_anew(bench: Bench, source: Path) -> None:
    broken = replace(GREET, commands=('touch "$TOOL/half"; echo no such version; exit 3',))
    slug = SlugRecipe((), ("true",), tools=(broken,))
    for _ in range(2):
        with pytest.raises(BuildFailed, match="exited with status 3"):
            await build(bench, source, slug)
        assert list(shared(bench).iterdir()) == []


async def test_who_waits_for_a_build_that_is_cancelled_installs_it(bench: Bench, source: Path) -> None:
    """Bites: a turn that nobody gives back, and every later build of such an app waits for ever."""
    slow = replace(GREET, commands=(MAKE, 'touch "$TOOL/begun"; until test -e "$TOOL/go"; do sleep 0.02; done'))
    slug, log = SlugRecipe(("list.txt",), ("greet",), tools=(slow,)), bytearray()
    first = asyncio.create_task(build(bench, source, slug, str(uuid.uuid4())))

    async def installing() -> list[Path]:
        return list(shared(bench).glob("*/begun"))

    (theirs,) = await eventually(installing)
    second = asyncio.create_task(build(bench, source, slug, "", log))

    async def waits() -> bool:
        return b"-----> Waiting for greet" in log

    await eventually(waits)
    first.cancel()
    await asyncio.wait([first])
    assert not theirs.exists()
    (ours,) = await eventually(installing)
    (ours.parent / "go").touch()
    await second
    assert b"-----> Installing greet" in log and b"\nhello from /" in log


async def test_it_goes_with_the_last_artifact_that_was_built_with_it(bench: Bench, source: Path) -> None:
    """Whosever it is. Bites: a tool removed that another app's dynos run by; broken by `delete` that asks the app's
    own slugs alone."""
    slug = SlugRecipe((), ("true",), tools=(STAYS,))
    one, _ = await build(bench, source, slug)
    two, _ = await build(bench, source, slug, str(uuid.uuid4()))
    await bench.engine.delete_artifact(one)
    assert len(list(shared(bench).iterdir())) == 2
    waiting = asyncio.create_task(build(bench, source, replace(slug, commands=("greet; sleep 60",))))
    place = shared(bench).with_name("builds")

    async def under_way() -> bool:
        return any("-app" in path.name for path in place.iterdir())

    await eventually(under_way)
    await bench.engine.delete_artifact(two)
    assert len(list(shared(bench).iterdir())) == 2  # a build has it
    waiting.cancel()
    await asyncio.wait([waiting])
    three, _ = await build(bench, source, SlugRecipe())
    half = shared(bench) / f"{'0' * 64}.0badcafe"
    left = shared(bench) / f"{'1' * 64}.0badcafe"
    for folder, age in ((half, 0.0), (left, LEFT_SECONDS + 60)):
        folder.mkdir()
        os.utime(folder, (folder.stat().st_atime - age, folder.stat().st_mtime - age))
    await bench.engine.delete_artifact(three)
    assert list(shared(bench).iterdir()) == [half]  # it may be on its way, by a daemon that hands over to this one
