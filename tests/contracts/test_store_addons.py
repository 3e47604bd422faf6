"""What every Store must do with add-ons and what they are attached to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from paasd.domain.access import Account
from paasd.domain.addon import Addon, AddonState, AttachedNow, AttachedThen, Attachment
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound
from paasd.domain.release import Status
from paasd.ports import Store
from tests.contracts.ledger import NOW, add_app, new_id, new_release, succeed

PG = "heroku-postgresql"


def addon_of(app: App, name: str = "postgresql-flat-1", **changes: object) -> Addon:
    made = Addon(
        new_id(), name, app.id, PG, f"{PG}:mini", "container", name, AddonState.PROVISIONING, NOW, NOW, "s3cret" * 8
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attachment_of(addon: Addon, app: App, name: str = "DATABASE", values: Mapping[str, str] = {}) -> Attachment:
    return Attachment(new_id(), addon.id, app.id, name, NOW, NOW, values)


async def provisioned(store: Store, app: App, name: str = "postgresql-flat-1") -> tuple[Addon, Attachment]:
    addon = addon_of(app, name)
    attachment = attachment_of(addon, app)
    await store.insert_addon(addon, attachment)
    assert await store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.PROVISIONED)
    return await store.addon(addon.id), attachment


async def test_one_comes_back_as_it_was_and_by_its_name(store: Store, app: App) -> None:
    theirs: dict[str, Any] = {
        "values": {"A": "b"},
        "resource": "res/1",
        "options": {"zone": "east"},
        "message": "Welcome.",
    }
    addon = addon_of(app, next_secret="n3xt", attached_as="DATABASE", **theirs)
    assert await store.insert_addon(addon, attachment_of(addon, app)) == addon
    assert await store.addon(addon.name) == await store.addon(addon.id) == addon
    assert await store.addons() == await store.addons(app.id) == [addon]
    assert await store.addons(new_id()) == []
    for name in ("postgresql-flat-2", new_id()):
        with pytest.raises(NotFound):
            await store.addon(name)


async def test_names_are_unique_among_the_living_and_hosts_for_ever(store: Store, app: App, account: Account) -> None:
    addon, attachment = await provisioned(store, app)
    blog = await add_app(store, account, "blog")
    twin = addon_of(blog)
    with pytest.raises(InvalidParams, match="already taken"):
        await store.insert_addon(twin, attachment_of(twin, blog))
    other = addon_of(app, "postgresql-other")
    with pytest.raises(InvalidParams, match="attached as DATABASE already"):
        await store.insert_addon(other, attachment_of(other, app))
    assert [one.name for one in await store.addons()] == [addon.name]  # nothing half made
    assert await store.move_addon(addon.id, AddonState.PROVISIONED, AddonState.DEPROVISIONING)
    assert await store.move_addon(addon.id, AddonState.DEPROVISIONING, AddonState.DEPROVISIONED)
    assert await store.attachments() == []
    again = await store.insert_addon(twin, attachment_of(twin, blog))
    assert again.name == addon.name and again.host == f"{addon.name}-{twin.id[:8]}"
    with pytest.raises(InvalidParams, match="already taken"):
        await store.move_addon(addon.id, AddonState.DEPROVISIONED, AddonState.PROVISIONED)
    await store.forget_addon(twin.id)  # alive: stays
    await store.forget_addon(addon.id)
    assert [one.id for one in await store.addons()] == [twin.id]
    assert attachment.name == "DATABASE"


async def test_saving_and_moving(store: Store, app: App) -> None:
    addon, attachment = await provisioned(store, app)
    assert not await store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.FAILED, "late")
    await store.save_addon(replace(addon, name="sales", plan=f"{PG}:small", secret="other", next_secret=None))
    saved = await store.addon("sales")
    assert (saved.plan, saved.secret, saved.host) == (f"{PG}:small", "other", addon.host)
    assert saved.state is AddonState.PROVISIONED
    assert await store.move_addon(addon.id, AddonState.PROVISIONED, AddonState.DEPROVISIONING)
    (ended,) = await store.attachments(addon_id=addon.id)
    assert ended.id == attachment.id and ended.ended_at is not None
    failing = addon_of(app, "failing")
    await store.insert_addon(failing, attachment_of(failing, app))
    assert await store.move_addon(failing.id, AddonState.PROVISIONING, AddonState.FAILED, "no room")
    failed = await store.addon(failing.id)
    assert failed.failure == "no room" and failed.ended_at is not None
    assert await store.attachments(addon_id=failing.id) == []


async def test_an_attachment_takes_another_s_place_or_nothing_changes(store: Store, app: App) -> None:
    """Bites: with two transactions, the refused one leaves the app without either."""
    addon, first = await provisioned(store, app)
    other = addon_of(app, "other")
    await store.insert_addon(other, replace(attachment_of(other, app), name="OTHER"))
    second = replace(attachment_of(other, app), name="DATABASE")
    with pytest.raises(InvalidParams):
        await store.insert_attachment(replace(second, name="OTHER"), replacing=first.id)
    held = {one.name: one.addon_id for one in await store.attachments(app_id=app.id) if one.ended_at is None}
    assert held == {"DATABASE": addon.id, "OTHER": other.id}
    await store.insert_attachment(second, replacing=first.id)
    held = {one.name: one.addon_id for one in await store.attachments(app_id=app.id) if one.ended_at is None}
    assert held == {"DATABASE": other.id, "OTHER": other.id}


async def test_what_a_release_gets_now(store: Store, app: App) -> None:
    addon, attachment = await provisioned(store, app)
    assert await store.attached_now(app.id) == AttachedNow()  # no app was let in yet
    url = {"DATABASE_URL": "postgres://u:p@h/d"}
    await store.set_attachment_values({attachment.id: url})
    then = AttachedThen("DATABASE", addon.id, addon.name, addon.plan, ("DATABASE_URL",))
    assert await store.attached_now(app.id) == AttachedNow((then,), url)
    release = await succeed(store, app, config={"OWN": "1", **url}, attachments=(then,))
    assert release.attachments == (then,) and release.own_config == {"OWN": "1"}
    assert await store.own_config(app.id) == {"OWN": "1"}
    assert await store.newest_attachments(app.id) == (then,)
    await store.end_attachment(attachment.id)
    assert await store.attached_now(app.id) == AttachedNow()
    second = attachment_of(addon, app, values=url)
    await store.insert_attachment(second)
    await store.delete_attachment(attachment.id)
    assert [one.id for one in await store.attachments(app_id=app.id)] == [second.id]
    with pytest.raises(NotFound):
        await store.insert_attachment(attachment_of(addon, replace(app, id=new_id()), "GREEN"))


async def test_a_destroyed_app_leaves_its_addons_as_going(store: Store, app: App, account: Account) -> None:
    addon, _ = await provisioned(store, app)
    blog = await add_app(store, account, "blog")
    await store.insert_attachment(attachment_of(addon, blog, "SHOP"))
    await store.archive_app(blog.id)
    assert (await store.addon(addon.id)).state is AddonState.PROVISIONED
    assert [one.name for one in await store.attachments(addon_id=addon.id) if one.ended_at is None] == ["DATABASE"]
    await store.archive_app(app.id)
    assert (await store.addon(addon.id)).state is AddonState.DEPROVISIONING
    assert all(one.ended_at for one in await store.attachments(addon_id=addon.id))


async def test_what_a_release_had_of_addons_never_changes(store: Store, app: App) -> None:
    recorded = await store.record_release(new_release(app))
    assert recorded.attachments == () and await store.transition(recorded.id, Status.PENDING, Status.SUCCEEDED)
