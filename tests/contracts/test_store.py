"""What every Store must do, whatever it stands on: accounts, tokens, apps, formations, builds."""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta

import pytest

from paasd.domain.access import Account
from paasd.domain.app import App
from paasd.domain.dyno import Formation
from paasd.domain.errors import Conflict, InvalidParams, NotFound
from paasd.domain.release import (
    BuildStatus,
    Status,
)
from paasd.ports import Store
from tests.contracts.ledger import NOW, PROCESSES, add_account, add_app, new_build, new_id, new_release, token_of

# --- accounts and tokens ----------------------------------------------------------------------------------------------


async def test_an_account_is_found_by_its_token_only(store: Store) -> None:
    ann = Account(new_id(), "ann@example.org", "Ann", NOW)
    token = token_of(ann)
    await store.insert_account(ann, token)
    await add_account(store, "bob@example.org")
    assert await store.account_of_token(token.sha256) == (ann, token)
    assert await store.account_of_token("0" * 64) is None
    assert {account.email for account in await store.accounts()} == {"ann@example.org", "bob@example.org"}


async def test_an_email_address_belongs_to_one_account(store: Store, account: Account) -> None:
    second = Account(new_id(), account.email, None, NOW)
    with pytest.raises(Conflict, match="ann@example"):
        await store.insert_account(second, token_of(second))
    assert list(await store.accounts()) == [account]


async def test_replacing_a_token_ends_the_one_of_that_name_only(store: Store, account: Account) -> None:
    first, other, second = token_of(account), token_of(account, "ci"), token_of(account)
    for token in (first, other, second):
        await store.replace_token(token)
    assert await store.account_of_token(first.sha256) is None
    assert await store.account_of_token(other.sha256) == (account, other)
    assert await store.account_of_token(second.sha256) == (account, second)


async def test_a_token_needs_an_account(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.replace_token(token_of(Account(new_id(), "nobody@example.org", None, NOW)))


# --- apps -------------------------------------------------------------------------------------------------------------


async def test_an_app_is_born_with_its_first_release(store: Store, account: Account) -> None:
    app = App(new_id(), "shop", account.id, account.email, False, NOW, NOW)
    first = await store.insert_app(app, new_release(app, description="Initial release", status=Status.SUCCEEDED))
    assert (first.version, first.status) == (1, Status.SUCCEEDED)
    assert await store.app("shop") == await store.app(app.id) == app
    assert list(await store.releases(app.id)) == [first]


async def test_a_taken_name_leaves_nothing_behind(store: Store, app: App, account: Account) -> None:
    second = replace(app, id=new_id())
    with pytest.raises(InvalidParams, match="shop is already taken"):
        await store.insert_app(second, new_release(second))
    with pytest.raises(NotFound):
        await store.app(second.id)
    assert list(await store.releases(second.id)) == []


async def test_apps_come_by_name(store: Store, account: Account) -> None:
    for name in ("pear", "apple", "fig"):
        await add_app(store, account, name)
    assert [app.name for app in await store.apps()] == ["apple", "fig", "pear"]


async def test_an_archived_app_frees_its_name_and_keeps_its_ledger(store: Store, app: App, account: Account) -> None:
    await store.archive_app(app.id)
    await store.archive_app(app.id)
    assert list(await store.apps()) == []
    for gone in (app.name, app.id):
        with pytest.raises(NotFound):
            await store.app(gone)
    successor = await add_app(store, account, app.name)
    assert (await store.app(app.name)).id == successor.id
    assert [release.version for release in await store.releases(app.id)] == [1]


async def test_an_archived_app_takes_no_more_writes(store: Store, app: App) -> None:
    await store.archive_app(app.id)
    writes: list[Awaitable[object]] = [
        store.record_release(new_release(app)),
        store.insert_build(new_build(app)),
        store.set_maintenance(app.id, True),
        store.set_release_timeout(app.id, 5),
        store.set_formation(app.id, [Formation("web", 2)]),
    ]
    for write in writes:
        with pytest.raises(NotFound, match="find that app"):
            await write


async def test_settings_of_an_app(store: Store, app: App) -> None:
    on = await store.set_maintenance(app.id, True)
    assert on.maintenance and on.updated_at > app.updated_at
    assert (await store.set_release_timeout(app.id, 12.5)).release_timeout == 12.5
    kept = await store.app(app.id)
    assert (kept.maintenance, kept.release_timeout, kept.owner_email) == (True, 12.5, "ann@example.org")
    assert not (await store.set_maintenance(app.id, False)).maintenance


async def test_a_formation_is_replaced_as_a_whole(store: Store, app: App) -> None:
    assert list(await store.formation(app.id)) == []
    await store.set_formation(app.id, [Formation("worker", 0), Formation("web", 3, "Performance-M")])
    assert list(await store.formation(app.id)) == [Formation("web", 3, "Performance-M"), Formation("worker", 0)]
    await store.set_formation(app.id, [Formation("web", 1)])
    assert list(await store.formation(app.id)) == [Formation("web", 1)]
    await store.set_formation(app.id, [])
    assert list(await store.formation(app.id)) == []


# --- builds -----------------------------------------------------------------------------------------------------------


async def test_a_build_is_finished_once(store: Store, app: App) -> None:
    build = new_build(app)
    await store.insert_build(build)
    assert await store.build(app.id, build.id) == build
    assert list(await store.pending_builds()) == [build]
    done = await store.finish_build(
        build.id,
        BuildStatus.SUCCEEDED,
        builder="python",
        stack="bookworm",
        artifact="sha256:ab",
        processes=PROCESSES,
        size=3_000_000_000,
    )
    assert (done.status, done.builder, done.stack, done.artifact) == (
        BuildStatus.SUCCEEDED,
        "python",
        "bookworm",
        "sha256:ab",
    )
    assert (done.processes, list(done.processes.commands), done.size) == (PROCESSES, ["web", "alt"], 3_000_000_000)
    assert await store.finish_build(build.id, BuildStatus.FAILED, failure="too late") == done
    assert await store.build(app.id, build.id) == done
    assert list(await store.pending_builds()) == []


async def test_builds_come_newest_first_and_belong_to_their_app(store: Store, app: App, account: Account) -> None:
    other = await add_app(store, account, "other")
    made = [new_build(app, created_at=NOW + timedelta(seconds=second)) for second in range(3)]
    for build in (*made, new_build(other)):
        await store.insert_build(build)
    assert list(await store.builds(app.id)) == made[::-1]
    assert len(await store.pending_builds()) == 4
    failed = await store.finish_build(made[0].id, BuildStatus.FAILED, failure="no such package")
    assert failed.failure == "no such package"
    assert list(await store.builds(app.id, limit=2)) == made[:0:-1]
    assert list(await store.builds(app.id, status=BuildStatus.PENDING, limit=1)) == made[2:]
    assert list(await store.builds(app.id, status=BuildStatus.FAILED)) == [failed]
    with pytest.raises(NotFound):
        await store.build(other.id, made[0].id)
    with pytest.raises(NotFound):
        await store.finish_build(new_id(), BuildStatus.FAILED)
    with pytest.raises(Conflict):
        await store.insert_build(made[0])
