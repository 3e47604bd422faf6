"""What every Store must do with people, their tokens and keys, collaborators, and the audit."""

from dataclasses import replace
from datetime import timedelta

import pytest

from paasd.domain.access import Account, Actor, Collaborator, Permission, PublicKey, Scope, Token, TokenKind
from paasd.domain.app import App
from paasd.domain.audit import NewEntry
from paasd.domain.errors import Conflict, InvalidParams, NotFound, PaasError
from paasd.ports import Store
from tests.contracts.ledger import NOW, add_account, add_app, new_id, token_of


async def test_an_account_by_email_or_id(store: Store, account: Account) -> None:
    assert await store.account(account.id) == await store.account("ANN@example.org") == account
    with pytest.raises(NotFound):
        await store.account("nobody@example.org")


async def test_a_password_is_kept_beside_the_account(store: Store, account: Account) -> None:
    assert await store.password(account.id) is None
    await store.set_password(account.id, "scrypt$…")
    assert await store.password(account.id) == "scrypt$…"


async def test_an_account_that_owns_nothing_goes_with_what_is_its_own(store: Store, app: App) -> None:
    bob = await add_account(store, "bob@example.org")
    token = replace(token_of(bob, "ci"), sha256="c" * 64)
    await store.insert_token(token)
    await store.set_collaborator(
        Collaborator(new_id(), app.id, bob.id, bob.email, frozenset({Permission.VIEW}), NOW, NOW)
    )
    await store.delete_account(bob.id)
    assert await store.account_of_token(token.sha256) is None
    assert list(await store.collaborators(app_id=app.id)) == []
    with pytest.raises(Conflict):
        await store.delete_account(app.owner_id)


async def test_tokens_of_a_kind(store: Store, account: Account) -> None:
    scoped = Token(
        new_id(),
        account.id,
        "ci",
        "a" * 64,
        NOW,
        (Scope.READ, Scope.WRITE),
        NOW + timedelta(hours=1),
        TokenKind.SESSION,
    )
    same_name = replace(scoped, id=new_id(), sha256="b" * 64, created_at=NOW + timedelta(seconds=1))
    await store.insert_token(scoped)
    await store.insert_token(same_name)
    assert list(await store.tokens(account.id, TokenKind.SESSION)) == [scoped, same_name]
    assert await store.account_of_token("a" * 64) == (account, scoped)
    await store.update_token(replace(scoped, name="laptop", sha256="d" * 64))
    assert await store.account_of_token("a" * 64) is None
    renamed = await store.account_of_token("d" * 64)
    assert renamed is not None and renamed[1].name == "laptop"
    await store.delete_token(scoped.id)
    await store.delete_token(scoped.id)
    assert list(await store.tokens(account.id, TokenKind.SESSION)) == [same_name]


async def test_keys(store: Store, account: Account) -> None:
    key = PublicKey(new_id(), account.id, "ssh-ed25519 AAAA ann", "SHA256:x", "ann", NOW)
    await store.insert_key(key)
    assert list(await store.keys(account.id)) == [key]
    with pytest.raises(Conflict):
        await store.insert_key(replace(key, id=new_id()))
    await store.delete_key(key.id)
    assert list(await store.keys(account.id)) == []


async def test_collaborators(store: Store, app: App) -> None:
    bob = await add_account(store, "bob@example.org")
    one = Collaborator(new_id(), app.id, bob.id, bob.email, frozenset({Permission.VIEW, Permission.DEPLOY}), NOW, NOW)
    await store.set_collaborator(one)
    more = replace(one, permissions=frozenset(Permission))
    await store.set_collaborator(more)
    assert (
        list(await store.collaborators(app_id=app.id)) == list(await store.collaborators(account_id=bob.id)) == [more]
    )
    assert list(await store.collaborators(app_id=app.id, account_id=app.owner_id)) == []
    await store.delete_collaborator(app.id, bob.id)
    assert list(await store.collaborators()) == []


async def test_an_app_renamed_and_given_away(store: Store, app: App, account: Account) -> None:
    bob = await add_account(store, "bob@example.org")
    await add_app(store, account, "other")
    with pytest.raises(InvalidParams, match="other is already taken"):
        await store.rename_app(app.id, "other")
    assert (await store.rename_app(app.id, "store")).name == "store"
    assert (await store.give_app(app.id, bob.id)).owner_email == "bob@example.org"
    assert (await store.app("store")).owner_id == bob.id


async def test_the_audit_is_append_only(store: Store, app: App) -> None:
    actor = Actor(app.owner_id, app.owner_email, "laptop", "127.0.0.1")
    for number in range(3):
        named = (app.id, app.name) if number else (None, None)
        await store.add_audit(
            NewEntry(NOW, actor, "PATCH", f"/{number}", 200, "r", named[0], named[1], {"set": ["KEY"]})
        )
    assert [entry.path for entry in await store.audit()] == ["/2", "/1", "/0"]
    assert [entry.path for entry in await store.audit(app_id=app.id, limit=1)] == ["/2"]
    newest = (await store.audit())[0]
    assert [entry.path for entry in await store.audit(before=newest.id)] == ["/1", "/0"]
    assert (newest.actor, newest.detail, newest.at) == (actor, {"set": ["KEY"]}, NOW)
    database = store._database  # type: ignore[attr-defined]
    for forbidden in ("UPDATE audit SET path = ''", "DELETE FROM audit"):
        with pytest.raises(PaasError, match="append-only"):
            async with database.write() as connection:
                await connection.exec_driver_sql(forbidden)
