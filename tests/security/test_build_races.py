"""A build on processes without a sandbox: its folder is the app's user's, whose dynos run meanwhile and know its name.

What we do there as root is done to what they put into its place, unless they can't.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.domain.errors import BuildFailed
from paasd.domain.slug import SlugRecipe
from paasd.ports import BuildSpec
from tests.contracts.engines import daemons_umask, eventually, make_home
from tests.paasd.adapters.conftest import bench, home, settings

__all__ = ["home", "settings"]  # fixtures

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="apps have users of their own only where paasd is root")

FILES = 3000
TAKE = """exec python3 -uc '
import os, sys
place, aim = sys.argv[1:]
print("ready")
while True:
    try:
        os.rename(place + "/d", place + "/taken")
        os.symlink(aim, place + "/d")
    except OSError:
        continue
    break
' "$PLACE" "$AIM"
"""
PUT = """exec python3 -uc '
import os, sys
place, aim = sys.argv[1:]
print("ready")
while True:
    try:
        os.symlink(aim, place + "/requirements.txt")
    except OSError:
        continue
    break
' "$PLACE" "$AIM/written"
"""


@pytest.mark.parametrize(("command", "step", "recipe"), [
    (TAKE, "app", SlugRecipe(commands=("true",))),
    (TAKE, "deps", SlugRecipe(dependencies=("true",), depends_on=None)),
    (PUT, "deps", SlugRecipe(dependencies=("true",), depends_on=("requirements.txt",))),
])  # fmt: skip
async def test_no_dyno_leads_a_build_s_files_out_of_its_folder(
    tmp_path_factory: pytest.TempPathFactory, command: str, step: str, recipe: SlugRecipe
) -> None:
    """Bites: `_place` that gives `app` away before it is filled, and our files are in a folder of the attacker's: the
    first two by a folder that is taken away while we write to it, the third by a link that was there before."""
    source, aim = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("aim")
    (source / "requirements.txt").write_text("planted")
    (source / "d").mkdir()
    for number in range(FILES):
        (source / "d" / str(number)).touch()
    top = tmp_path_factory.mktemp("top")
    for folder in (aim, top, *top.parents[:2]):
        folder.chmod(0o711)
    with daemons_umask():
        home = make_home(str(top))
        async with ProcessEngine("7e57ab1e", home, ProcessSettings(os.environ["PATH"], bwrap=False)) as engine:
            app = bench(engine)
            build_id = str(uuid.uuid4())
            place = home / "process" / "builds" / f"{build_id}-{step}" / "app"
            env = {"PLACE": str(place), "AIM": str(aim)}
            dyno = await engine.start(app.spec(command, name="worker.1", env=env))

            async def ready() -> bool:
                async for _, text in engine.logs(dyno.id):
                    return text == "ready"
                return False

            try:
                await eventually(ready)
                spec = BuildSpec(app.app_id, build_id, "paasd/shop:b-1", "", slug=recipe)
                with suppress(BuildFailed, OSError):
                    await engine.build(source, spec, forget)
            finally:
                await engine.stop(dyno.id, grace=0)
    assert list(aim.iterdir()) == []


async def forget(_data: bytes) -> None: ...


async def test_no_installation_has_us_make_a_file_elsewhere(
    home: Path, settings: ProcessSettings, tmp_path: Path
) -> None:
    """By a link in the place of the mark that its layer is whole. Bites: without O_EXCL in `_seal` it is there."""
    aim, source = tmp_path / "made", tmp_path / "source"
    source.mkdir()
    recipe = SlugRecipe(dependencies=(f'ln -s {aim} "$DEPS/.whole"',), depends_on=())
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        spec = BuildSpec(bench(engine).app_id, str(uuid.uuid4()), "paasd/shop:b-1", "", slug=recipe)
        with pytest.raises(BuildFailed, match=r"makes a file `\.whole` among what it installs; leave that out"):
            await engine.build(source, spec, forget)
    assert not aim.exists()
