"""What the store's contract tests put into a store: accounts, apps, builds and releases."""

import hashlib
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from paasd.domain.access import Account, Actor, Token
from paasd.domain.app import App
from paasd.domain.health import Pace
from paasd.domain.release import Build, BuildStatus, Commit, NewRelease, ProcessTypes, Release, Stage, Status
from paasd.ports import Store

NOW = datetime(2026, 11, 23, 6, 0, 0, 123456, tzinfo=UTC)
COMMIT = Commit("9f3c21ab" * 5, "Ann <ann@example.org>", "Say hello, “grüße”")
PROCESSES = ProcessTypes(
    *({"web": "gunicorn app:app", "alt": None}, "python manage.py migrate", {"web": "/ok"}, {"web": 2}, "seed"),
    health_contents={"web": "fine"},
    sizes={"web": "Standard-2X"},
    health_paces={"web": Pace(timeout=5, attempts=3)},
)


def new_id() -> str:
    return str(uuid.uuid4())


def token_of(account: Account, name: str = "cli") -> Token:
    secret = new_id()
    return Token(new_id(), account.id, name, hashlib.sha256(secret.encode()).hexdigest(), NOW)


async def add_account(store: Store, email: str) -> Account:
    account = Account(new_id(), email, None, NOW)
    await store.insert_account(account, token_of(account))
    return account


async def add_app(store: Store, account: Account, name: str) -> App:
    app = App(new_id(), name, account.id, account.email, False, NOW, NOW)
    await store.insert_app(app, new_release(app, description="Initial release", status=Status.SUCCEEDED))
    return app


def new_release(app: App, **changes: object) -> NewRelease:
    actor = Actor(app.owner_id, app.owner_email, "cli", "127.0.0.1")
    release = NewRelease(app.id, "Deploy 9f3c21ab", actor, {"GREETING": "hello"}, {"web": 1})
    return replace(release, **changes)  # type: ignore[arg-type]


def new_build(app: App, *, created_at: datetime = NOW) -> Build:
    actor = Actor(app.owner_id, app.owner_email, "cli", "127.0.0.1")
    return Build(new_id(), app.id, BuildStatus.PENDING, actor, COMMIT, created_at, created_at)


async def succeed(store: Store, app: App, **changes: object) -> Release:
    release = await store.record_release(new_release(app, **changes))
    assert await store.transition(release.id, Status.PENDING, Status.SUCCEEDED)
    return await store.release(app.id, release.id)


async def fail(store: Store, app: App, **changes: object) -> Release:
    release = await store.record_release(new_release(app, **changes))
    await store.add_stage(release.id, Stage.FAILED, "The release command exited with status 1.")
    assert await store.transition(release.id, Status.PENDING, Status.FAILED)
    return await store.release(app.id, release.id)
