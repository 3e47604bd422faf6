"""What every Store must do with maintenance and apps' own pages."""

from datetime import timedelta

import pytest

from paasd.domain.app import App
from paasd.domain.errors import NotFound
from paasd.domain.upkeep import Page, PageKind, Upkeep
from paasd.ports import Store
from tests.contracts.ledger import NOW, new_id

KEPT = Upkeep(until=NOW, pause=12.5, allow=("10.0.0.0/8", "::1/128"), health_path="/up", bypass="k" * 64)


async def test_maintenance_is_kept_as_a_whole(store: Store, app: App) -> None:
    assert app.upkeep == Upkeep()
    on = await store.set_maintenance(app.id, True, KEPT)
    assert on.maintenance and on.upkeep == KEPT
    assert (await store.app("shop")) == on and list(await store.apps()) == [on]
    assert (await store.set_maintenance(app.id, False)).upkeep == KEPT
    off = await store.set_maintenance(app.id, False, Upkeep(health_path="/up"))
    assert off.upkeep == Upkeep(health_path="/up")


async def test_it_ends_once_and_only_as_it_was_to(store: Store, app: App) -> None:
    await store.set_maintenance(app.id, True, KEPT)
    assert list(await store.maintenance_over(NOW - timedelta(seconds=1))) == []
    assert [over.id for over in await store.maintenance_over(NOW)] == [app.id]
    assert not await store.end_maintenance(app.id, NOW + timedelta(seconds=1))
    assert (await store.app(app.id)).maintenance
    assert await store.end_maintenance(app.id, NOW)
    assert not await store.end_maintenance(app.id, NOW)
    ended = await store.app(app.id)
    assert (ended.maintenance, ended.upkeep) == (False, Upkeep(health_path="/up"))
    assert list(await store.maintenance_over(NOW)) == []


async def test_an_uploaded_page_beats_a_fetched_one(store: Store, app: App) -> None:
    fetched = Page(PageKind.ERROR, "f" * 64, 7, NOW, "0" * 64)
    uploaded = Page(PageKind.ERROR, "a" * 64, 8, NOW)
    assert (await store.set_page(app.id, fetched, b"fetched")).upkeep.error_page == "f" * 64
    assert (await store.set_page(app.id, uploaded, b"uploaded")).upkeep.error_page == "a" * 64
    assert list(await store.pages(app.id)) == [uploaded, fetched]
    assert await store.page_body("a" * 64) == b"uploaded"
    assert await store.page_body("9" * 64) is None
    assert (await store.set_maintenance(app.id, True, KEPT)).upkeep.error_page == "a" * 64
    assert (await store.delete_page(app.id, PageKind.ERROR, uploaded=True)).upkeep.error_page == "f" * 64
    assert (await store.delete_page(app.id, PageKind.ERROR, uploaded=False)).upkeep.error_page is None
    assert (await store.delete_page(app.id, PageKind.MAINTENANCE, uploaded=False)).upkeep.maintenance_page is None


async def test_a_destroyed_app_leaves_no_page(store: Store, app: App) -> None:
    page = Page(PageKind.MAINTENANCE, "a" * 64, 4, NOW)
    await store.set_page(app.id, page, b"page")
    await store.archive_app(app.id)
    assert await store.page_body("a" * 64) is None
    for gone in (app.id, new_id()):
        with pytest.raises(NotFound):
            await store.set_page(gone, page, b"page")
        with pytest.raises(NotFound):
            await store.set_maintenance(gone, True, KEPT)
