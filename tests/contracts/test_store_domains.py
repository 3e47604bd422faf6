"""What every Store must do with apps' own host names."""

import pytest

from paasd.domain.access import Account
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound
from paasd.domain.hostname import Domain
from paasd.ports import Store
from tests.contracts.ledger import NOW, add_account, add_app, new_id


def domain(app: App, hostname: str) -> Domain:
    return Domain(new_id(), app.id, hostname, NOW, NOW)


async def test_a_name_is_one_apps_and_comes_with_the_app(store: Store, account: Account, app: App) -> None:
    www = domain(app, "www.example.org")
    await store.insert_domain(domain(app, "*.example.org"))
    await store.insert_domain(www)
    assert [one.hostname for one in await store.domains(app.id)] == ["*.example.org", "www.example.org"]
    assert (await store.app("shop")).hostnames == ("*.example.org", "www.example.org")
    blog = await add_app(store, account, "blog")
    for taker, words in ((app, "already"), (blog, "another app")):
        with pytest.raises(InvalidParams, match=words):
            await store.insert_domain(domain(taker, "www.example.org"))
    await store.delete_domain(www.id)
    await store.delete_domain(www.id)
    await store.insert_domain(domain(blog, "www.example.org"))
    assert [one.hostnames for one in await store.apps()] == [("www.example.org",), ("*.example.org",)]


async def test_wildcards_and_names_of_two_owners_keep_clear_of_each_other(store: Store, app: App) -> None:
    """Bites: without the comparison of owners in `_require_free`, each of these is taken."""
    other = await add_app(store, await add_account(store, "bob@example.org"), "blog")
    await store.insert_domain(domain(app, "www.example.org"))
    await store.insert_domain(domain(app, "*.shop.example.net"))
    for hostname in ("*.example.org", "a.shop.example.net", "*.b.shop.example.net", "*.example.net"):
        with pytest.raises(InvalidParams, match="another owner"):
            await store.insert_domain(domain(other, hostname))
    for hostname in ("example.org", "ww.example.org", "shop.example.net", "*.wwww.example.org", "xshop.example.net"):
        await store.insert_domain(domain(other, hostname))
    for hostname in ("b.shop.example.net", "*.c.shop.example.net"):  # of the same owner
        await store.insert_domain(domain(app, hostname))


async def test_a_destroyed_app_has_none_and_frees_them(store: Store, account: Account, app: App) -> None:
    await store.insert_domain(domain(app, "www.example.org"))
    await store.archive_app(app.id)
    assert list(await store.domains(app.id)) == []
    with pytest.raises(NotFound):
        await store.insert_domain(domain(app, "example.org"))
    await store.insert_domain(domain(await add_app(store, account, "blog"), "www.example.org"))
