"""The ledger: diffs by name, stages with their times, and its rules under any order of changes."""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paasd.domain.errors import PaasError
from paasd.domain.release import Release, Stage, StageRecord, Status
from paasd.services.ledger import NameDiff, diff_names, stage_times
from tests.gates import Gates
from tests.paasd.services.world import NOW, GatedStore, World, make_outside, wire


def test_differences_are_told_by_name_only() -> None:
    before = {"A": "1", "B": "2", "C": "3", "D": None}
    after = {"B": "2", "C": "changed", "D": "4", "Z": "9", "E": None}
    assert diff_names(before, after) == NameDiff(added=("E", "Z"), removed=("A",), changed=("C", "D"))
    assert diff_names({}, {}) == NameDiff((), (), ())


def test_a_stage_lasts_until_the_next() -> None:
    records = [
        StageRecord(stage, "", NOW + timedelta(seconds=number))
        for number, stage in enumerate((Stage.RECORD, Stage.RELEASE_PHASE, Stage.START_DYNOS))
    ]
    assert [(time.stage, time.seconds) for time in stage_times(records)] == [
        ("record", 1.0),
        ("release phase", 1.0),
        ("start dynos", None),
    ]
    assert stage_times([]) == ()


async def test_details_compare_with_the_release_before(world: World) -> None:
    app = await world.deployed()
    await world.config(app, SECRET="hunter2", OLD="1")
    await world.settled(app)
    await world.config(app, SECRET="changed", OLD=None, NEW="1")
    await world.settled(app)
    await world.push(app, "web: serve --fast\nrelease: migrate")
    third = await world.ledger.details(app, await world.release(app, 4))
    assert (third.against, third.config) == (3, NameDiff(("NEW",), ("OLD",), ("SECRET",)))
    assert "hunter2" not in repr(third)
    assert not third.image_changed
    assert not third.commit_changed
    fourth = await world.ledger.details(app, await world.release(app, 5))
    assert fourth.processes == NameDiff(("release",), (), ("web",))
    assert fourth.image_changed
    assert fourth.commit_changed
    assert (fourth.failure, fourth.exit_code) == (None, None)
    first = await world.ledger.details(app, await world.release(app, 1))
    assert (first.against, first.config, first.stages) == (None, NameDiff((), (), ()), ())


async def test_the_ledger_is_read_by_page_and_by_name(world: World) -> None:
    app = await world.deployed()
    await world.push(app)
    newest = await world.ledger.releases(app, newest_first=True, limit=2)
    assert [release.version for release in newest] == [3, 2]
    assert [release.version for release in await world.ledger.releases(app, after=1)] == [2, 3]
    assert await world.ledger.release(app, "v3") == await world.ledger.current(app) == newest[0]


# --- any order of things ----------------------------------------------------------------------------------------------

CHANGES = st.dictionaries(st.sampled_from(["A", "B", "C"]), st.sampled_from(["1", "2", None]), min_size=1)
ACTION = st.one_of(
    st.tuples(st.just("push"), st.sampled_from(["web: serve", "web: serve\nrelease: fail", "web: crash", "nonsense"])),
    st.tuples(st.just("config"), CHANGES),
    st.tuples(st.just("roll back"), st.integers(1, 6)),
    st.tuples(st.just("break"), st.booleans()),
    st.tuples(st.just("expire"), st.integers(2, 4)),
)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTION, min_size=1, max_size=7))
def test_the_ledgers_rules_hold_whatever_happens(migrated: Path, actions: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(migrated, Path(directory), actions))


async def play(migrated: Path, home: Path, actions: list[tuple[str, object]]) -> None:
    shutil.copy(migrated, home / "store.db")
    store = GatedStore(home / "store.db", home / "key")
    store.gates = Gates()
    async with store:
        world = wire(await make_outside(home, store))
        app = await world.create()
        for action in actions:
            before = await world.store.releases(app.id)
            await act(world, *action)
            await world.settled(app)
            after = await world.store.releases(app.id)
            appended = [replace(r, status=Status.PENDING, updated_at=NOW) for r in after[: len(before)]]
            assert appended == [replace(r, status=Status.PENDING, updated_at=NOW) for r in before]  # only status moves
            await check(world)
        await world.background.close()


async def act(world: World, what: str, how: object) -> None:
    app = await world.apps.find("shop")
    try:
        if what == "push":
            await world.push(app, str(how))
        elif what == "config":
            assert isinstance(how, dict)
            await asyncio.gather(*(world.config(app, **{name: value}) for name, value in how.items()))
        elif what == "roll back":
            await world.releases.roll_back(world.actor, app, str(how))
        elif what == "break":
            world.engine.commands["serve"] = world.engine.commands["crash" if how else "sick"]
        elif what == "expire":
            release = await world.store.release(app.id, str(how))
            current = await world.store.current_release(app.id)
            if release != current and release.status in (Status.SUCCEEDED, Status.FAILED):
                await world.store.transition(release.id, release.status, Status.EXPIRED)
    except PaasError:
        pass  # refused, or failed: the rules hold all the same


async def check(world: World) -> None:
    app = await world.apps.find("shop")
    found = list(await world.store.releases(app.id))
    assert [release.version for release in found] == list(range(1, len(found) + 1))
    assert sum(release.status is Status.PENDING for release in found) == 0  # settled; the index bars more than one
    succeeded = [release for release in found if release.status is Status.SUCCEEDED]
    assert await world.store.current_release(app.id) == succeeded[-1]
    assert await world.apps.config(app) == await newest_config(world, found)
    served = succeeded[-1]
    assert world.answer() in ({"H81"} if served.artifact is None else {f"v{served.version}"})


async def newest_config(world: World, found: list[Release]) -> dict[str, str]:
    """Of the newest release that has not failed, by the stages where it has expired since."""
    for release in reversed(found):
        stages = await world.store.stages(release.id)
        if release.status is not Status.FAILED and all(record.stage is not Stage.FAILED for record in stages):
            return dict(release.config)
    return {}
