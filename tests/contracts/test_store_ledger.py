"""What every Store must do with releases: append, number, move forward, refuse; also with many at once."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paasd.domain.access import Account
from paasd.domain.app import App
from paasd.domain.errors import NotFound, ReleaseInProgress
from paasd.domain.release import (
    TRANSITIONS,
    Release,
    Stage,
    Status,
)
from paasd.ports import Store
from tests.contracts.ledger import COMMIT, PROCESSES, add_app, fail, new_build, new_id, new_release, succeed

# --- the ledger -------------------------------------------------------------------------------------------------------


async def test_a_release_comes_back_as_it_was_recorded(store: Store, app: App) -> None:
    build = new_build(app)
    await store.insert_build(build)
    asked = new_release(
        app,
        config={"A": "1", "ÜMLAUT": "“grüße”\n\t€", "EMPTY": ""},
        formation={"web": 2, "alt": 0},
        processes=PROCESSES,
        build_id=build.id,
        artifact="sha256:ab",
        commit=COMMIT,
        has_output=True,
        rollback_of=1,
    )
    recorded = await store.record_release(asked)
    assert recorded.version == 2 and recorded.status is Status.PENDING
    for field in (
        "description actor config formation processes build_id artifact commit has_output rollback_of"
    ).split():
        assert getattr(recorded, field) == getattr(asked, field)
    for key in ("2", "v2", recorded.id):
        assert await store.release(app.id, key) == recorded
    assert list(await store.pending_releases()) == list(await store.pending_releases(app.id)) == [recorded]
    assert abs(recorded.created_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_release_needs_its_build(store: Store, app: App) -> None:
    with pytest.raises(NotFound):
        await store.record_release(new_release(app, build_id=new_id()))
    assert (await succeed(store, app)).version == 2


async def test_a_release_that_is_not_there(store: Store, app: App, account: Account) -> None:
    other = await add_app(store, account, "other")
    theirs = await succeed(store, other)
    for key in ("v99", "99", "v", "", "-1", "v1x", "٢", "9" * 30, "'; DROP TABLE releases", new_id(), theirs.id):
        with pytest.raises(NotFound, match="heroku releases"):
            await store.release(app.id, key)


async def test_a_second_release_is_refused_with_version_stage_and_owner(store: Store, app: App) -> None:
    pending = await store.record_release(new_release(app))
    await store.add_stage(pending.id, Stage.RECORD)
    await store.add_stage(pending.id, Stage.RELEASE_PHASE)
    for status in (Status.PENDING, Status.SUCCEEDED):
        with pytest.raises(ReleaseInProgress) as refused:
            await store.record_release(new_release(app, status=status))
        assert refused.value.message == (
            "v2 is being released by ann@example.org (stage: release phase); wait for it or try again later."
        )
    await store.transition(pending.id, Status.PENDING, Status.FAILED)
    assert (await store.record_release(new_release(app))).version == 3


async def test_transition_is_compare_and_set(store: Store, app: App) -> None:
    release = await store.record_release(new_release(app))
    assert not await store.transition(release.id, Status.SUCCEEDED, Status.EXPIRED)
    assert not await store.transition(new_id(), Status.PENDING, Status.FAILED)
    assert (await store.app(app.id)).released_at is None
    outcomes = await asyncio.gather(
        *(store.transition(release.id, Status.PENDING, new) for new in (Status.SUCCEEDED, Status.FAILED) * 5)
    )
    assert outcomes.count(True) == 1
    moved = await store.release(app.id, release.id)
    assert moved == replace(release, status=moved.status, updated_at=moved.updated_at)
    assert moved.updated_at > release.updated_at


async def test_success_sets_released_at(store: Store, app: App) -> None:
    await fail(store, app)
    assert (await store.app(app.id)).released_at is None
    release = await succeed(store, app)
    first = (await store.app(app.id)).released_at
    assert first is not None and first >= release.created_at and first.utcoffset() == timedelta(0)
    await store.record_release(new_release(app, status=Status.SUCCEEDED))
    second = (await store.app(app.id)).released_at
    assert second is not None and second > first


@pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
async def test_only_the_steps_of_transitions_are_taken(store: Store, app: App, old: Status, new: Status) -> None:
    if new in TRANSITIONS[old]:
        make = {Status.SUCCEEDED: succeed, Status.FAILED: fail}.get(old)
        release = await (store.record_release(new_release(app)) if make is None else make(store, app))
        assert await store.transition(release.id, old, new)
        assert (await store.release(app.id, release.id)).status is new
    else:
        release = await store.record_release(new_release(app))
        with pytest.raises(ValueError, match="can't go from"):
            await store.transition(release.id, old, new)


async def test_releases_by_page(store: Store, app: App) -> None:
    for _ in range(4):
        await succeed(store, app)

    async def versions(**how: object) -> list[int]:
        return [release.version for release in await store.releases(app.id, **how)]  # type: ignore[arg-type]

    assert await versions() == [1, 2, 3, 4, 5]
    assert await versions(limit=2) == [1, 2]
    assert await versions(limit=2, after=2) == [3, 4]
    assert await versions(newest_first=True) == [5, 4, 3, 2, 1]
    assert await versions(newest_first=True, limit=2, after=4) == [3, 2]
    assert await versions(newest_first=True, after=1) == await versions(after=5) == await versions(limit=0) == []


async def test_the_releases_that_can_be_rolled_back_to(store: Store, app: App) -> None:
    """Bites: without `eligible` in the statement, v1 (no code), the failed and the expired one come, too."""
    served = [await succeed(store, app, artifact=f"sha256:{n}") for n in range(3)]
    await fail(store, app, artifact="sha256:f")
    await store.transition(served[1].id, Status.SUCCEEDED, Status.EXPIRED)
    found = await store.releases(app.id, eligible=True)
    assert (
        [release.version for release in found] == [2, 4] == [one.version for one in found if one.eligible_for_rollback]
    )
    before = await store.releases(app.id, newest_first=True, limit=1, after=4, eligible=True)
    assert [release.version for release in before] == [2]


async def test_the_first_release_of_each_build(store: Store, app: App, account: Account) -> None:
    builds = [new_build(app) for _ in range(3)]
    for build in builds:
        await store.insert_build(build)
    first = [await succeed(store, app, build_id=build.id, artifact="sha256:a") for build in builds[:2]]
    await succeed(store, app)
    await succeed(store, app, build_id=builds[0].id, artifact="sha256:a", rollback_of=first[0].version)
    assert await store.first_releases(app.id) == {builds[n].id: first[n].id for n in range(2)}
    assert await store.first_releases((await add_app(store, account, "other")).id) == {}


async def test_current_is_the_highest_that_succeeded(store: Store, app: App) -> None:
    assert await store.current_release(new_id()) is None
    second = await succeed(store, app)
    await fail(store, app)
    await store.record_release(new_release(app))
    assert await store.current_release(app.id) == second


async def test_newest_config_is_that_of_the_newest_release_that_has_not_failed(store: Store, app: App) -> None:
    assert await store.newest_config(new_id()) == {}
    second = await succeed(store, app, config={"N": "2"})
    third = await fail(store, app, config={"N": "3"})
    assert await store.newest_config(app.id) == {"N": "2"}
    await store.transition(third.id, Status.FAILED, Status.EXPIRED)
    assert await store.newest_config(app.id) == {"N": "2"}
    await store.transition(second.id, Status.SUCCEEDED, Status.EXPIRED)
    assert await store.newest_config(app.id) == {"N": "2"}
    fourth = await store.record_release(new_release(app, config={"N": "4"}))
    assert await store.newest_config(app.id) == {"N": "4"}
    await store.transition(fourth.id, Status.PENDING, Status.FAILED)
    assert await store.newest_config(app.id) == {"N": "2"}


async def test_stages_come_in_the_order_they_were_entered(store: Store, app: App) -> None:
    release = await store.record_release(new_release(app))
    for number, stage in enumerate(Stage):
        await store.add_stage(release.id, stage, f"détail {number}")
    records = await store.stages(release.id)
    assert [(record.stage, record.detail) for record in records] == [
        (stage, f"détail {number}") for number, stage in enumerate(Stage)
    ]
    assert all(early.at <= late.at for early, late in itertools.pairwise(records))
    assert list(await store.stages(new_id())) == []
    with pytest.raises(NotFound):
        await store.add_stage(new_id(), Stage.RECORD)


# --- many at once -----------------------------------------------------------------------------------------------------


async def test_of_twenty_at_once_one_wins(store: Store, app: App) -> None:
    outcomes = await asyncio.gather(
        *(store.record_release(new_release(app)) for _ in range(20)), return_exceptions=True
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, Release)]
    assert len(winners) == 1 and winners[0].version == 2
    assert sum(isinstance(outcome, ReleaseInProgress) for outcome in outcomes) == 19


async def test_numbers_have_no_gaps_under_contention(store: Store, account: Account) -> None:
    apps = [await add_app(store, account, f"app-{number}") for number in range(3)]

    async def release(app: App, number: int) -> None:
        while True:
            try:
                recorded = await store.record_release(new_release(app, config={"N": str(number)}))
            except ReleaseInProgress:
                continue
            new = Status.FAILED if number % 3 == 0 else Status.SUCCEEDED
            assert await store.transition(recorded.id, Status.PENDING, new)
            return

    await asyncio.gather(*(release(app, number) for app in apps for number in range(12)))
    for app in apps:
        ledger = await store.releases(app.id)
        assert [row.version for row in ledger] == list(range(1, 14))
        assert {row.config["N"] for row in ledger[1:]} == {str(number) for number in range(12)}


async def test_reads_go_on_beside_writes(store: Store, app: App) -> None:
    async def read() -> None:
        for _ in range(20):
            ledger = await store.releases(app.id, newest_first=True)
            assert [row.version for row in ledger] == list(range(len(ledger), 0, -1))

    async def write() -> None:
        for _ in range(10):
            await succeed(store, app)

    await asyncio.gather(write(), *(read() for _ in range(8)))


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_caller_cancelled_anywhere_leaves_a_store_that_works(store: Store, app: App, cancels: int) -> None:
    """Cancel ever later, until the write gets through. The errors are kept: a traceback may hold a cursor alive."""
    outcomes: list[Release | BaseException] = []
    for step in itertools.count():
        writing = asyncio.create_task(store.record_release(new_release(app)))
        await asyncio.sleep(step * 0.0002)
        for _ in range(cancels):
            writing.cancel()
            await asyncio.sleep(0)
        outcomes += await asyncio.gather(writing, return_exceptions=True)
        async with asyncio.timeout(3):
            for left in await store.pending_releases(app.id):
                assert await store.transition(left.id, Status.PENDING, Status.FAILED)
            await succeed(store, app)
        if isinstance(outcomes[-1], Release):
            break
        assert isinstance(outcomes[-1], asyncio.CancelledError)
    assert len(outcomes) > 3
    versions = [row.version for row in await store.releases(app.id)]
    assert versions == list(range(1, len(versions) + 1))


async def test_readers_cancelled_anywhere_leave_a_store_that_works(store: Store, app: App) -> None:
    for turns in range(20):
        reading = [asyncio.create_task(store.releases(app.id)) for _ in range(6)]
        for _ in range(turns):
            await asyncio.sleep(0.0001)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    assert len(await asyncio.gather(*(store.releases(app.id) for _ in range(10)))) == 10
