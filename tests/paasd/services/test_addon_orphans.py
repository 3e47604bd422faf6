"""Data of add-ons that the ledger does not know: said by the daemon and by `paasd doctor`, and left where it is."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from paasd import doctor_addons
from paasd.doctor import addon_findings
from paasd.domain.errors import Unavailable
from paasd.home import Home
from paasd.services.addon_orphans import AddonOrphans
from paasd.settings import Settings
from tests.fake_addons import Held
from tests.paasd.services.addons import created
from tests.paasd.services.world import World


async def test_what_no_row_knows_is_said_once_and_kept(world: World) -> None:
    app, provider = await world.create(), world.outside.provider
    known, destroyed = await created(world, app), await created(world, app)
    await world.addons.wait(await world.addons.destroy(world.actor, destroyed))
    orphans = AddonOrphans(world.addons.work)
    assert await orphans.find() == {"fake": frozenset()}
    provider.held["stray"] = Held("secret", rows=["a row"])
    with capture_logs() as logs:
        for _ in range(2):
            await orphans.look()
    assert [one["addons"] for one in logs if one["log_level"] == "warning"] == [["stray"]]
    assert orphans.said == {"fake": {"stray"}} and known.id in provider.held
    assert provider.held["stray"].rows == ["a row"]
    provider.gates.errors["kept"] = Unavailable("The engine is away.")
    await orphans.look()
    assert await orphans.find() == {}


@pytest.fixture
def home() -> Iterator[Home]:
    path = Path(tempfile.mkdtemp(prefix="paasd-"))
    home = Home(path)
    home.prepare()
    yield home
    shutil.rmtree(path)


async def test_the_doctor_says_it_with_what_to_do(home: Home, migrated: Path) -> None:
    """Bites: `examine` without `addon_findings`. It makes no folder by looking."""
    settings = Settings(home=home.path, search_path=os.environ["PATH"], engine="process")
    home.id()
    home.keep_engine("process")
    assert await addon_findings(settings) == [] and not (home.path / "addons").exists()
    shutil.copy(migrated, home.store)
    stray = str(uuid.uuid4())
    (home.path / "addons" / stray).mkdir(parents=True)
    [found] = await addon_findings(settings)
    assert not found.ok and stray in found.detail and f"{home.path}/addons/{stray}" in found.remedy
    assert (home.path / "addons" / stray).is_dir()


@pytest.mark.parametrize("harm", ["damaged", "gone"])
async def test_the_doctor_says_nothing_of_them_by_a_ledger_that_it_cannot_read(home: Home, harm: str) -> None:
    """Bites: `addons_in_ledger` that takes such a ledger for an empty one: all add-ons' data was to be removed then."""
    settings = Settings(home=home.path, search_path=os.environ["PATH"], engine="process")
    home.id()
    home.keep_engine("process")
    (home.path / "addons" / str(uuid.uuid4())).mkdir(parents=True)
    if harm == "damaged":
        home.store.write_bytes(b"no database at all " * 1000)
    assert await addon_findings(settings) == []


async def test_the_doctor_asks_the_ledger_last(home: Home, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: rows read before the provider is asked: what is created, or purged, at that moment was to be removed."""
    settings = Settings(home=home.path, search_path=os.environ["PATH"], engine="process")
    home.id()
    home.keep_engine("process")
    shutil.copy(migrated, home.store)
    rows: dict[str, str] = {}
    asked = [["new", "purged"], ["new"]]

    async def kept_by(*_: object) -> list[str]:
        rows["new"] = "embedded"
        return asked.pop(0)

    monkeypatch.setattr(doctor_addons, "kept_by", kept_by)
    monkeypatch.setattr(doctor_addons, "addons_in_ledger", lambda _: dict(rows))
    assert await addon_findings(settings) == []
