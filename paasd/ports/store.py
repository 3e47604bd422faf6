"""Port Store: the ledger and what belongs to it, in parts by subject. A write has reached the disk when it returns."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from paasd.domain.access import Account, Collaborator, PublicKey, Token, TokenKind
from paasd.domain.addon import AttachedThen
from paasd.domain.app import App
from paasd.domain.audit import Entry, NewEntry
from paasd.domain.drain import Drain
from paasd.domain.dyno import Formation
from paasd.domain.hostname import Domain
from paasd.domain.release import (
    Build,
    BuildStatus,
    NewRelease,
    ProcessTypes,
    Release,
    Stage,
    StageRecord,
    Status,
)
from paasd.domain.request import Answered, Asked
from paasd.domain.upkeep import Page, PageKind, Upkeep
from paasd.domain.webhook import Delivery, Event, Happening, Webhook
from paasd.ports.store_addons import AddonStore
from paasd.ports.store_transfers import TransferStore


class AccessStore(Protocol):
    """People: accounts, their tokens and keys, and who may do what to whose app."""

    async def insert_account(self, account: Account, token: Token | None = None) -> None:
        """Conflict when the e-mail is taken."""

    async def accounts(self) -> Sequence[Account]:
        """All, oldest first."""

    async def account(self, email_or_id: str) -> Account:
        """NotFound when there is none."""

    async def delete_account(self, account_id: str) -> None:
        """With its tokens, keys and what it may do. Conflict while it owns apps, also destroyed ones."""

    async def password(self, account_id: str) -> str | None:
        """The stretched password; None where the account has none."""

    async def set_password(self, account_id: str, stretched: str | None) -> None: ...

    async def account_of_token(self, sha256: str) -> tuple[Account, Token] | None: ...

    async def tokens(self, account_id: str, kind: TokenKind) -> Sequence[Token]:
        """Oldest first."""

    async def insert_token(self, token: Token) -> None:
        """NotFound when there is no such account."""

    async def replace_token(self, token: Token) -> None:
        """Make it the account's only token of that name."""

    async def update_token(self, token: Token) -> None:
        """Its name and its secret. Absent: nothing happens."""

    async def delete_token(self, token_id: str) -> None:
        """Absent: fine."""

    async def insert_key(self, key: PublicKey) -> None:
        """Conflict when somebody has added it already."""

    async def keys(self, account_id: str) -> Sequence[PublicKey]:
        """Oldest first."""

    async def delete_key(self, key_id: str) -> None:
        """Absent: fine."""

    async def set_collaborator(self, one: Collaborator) -> None:
        """Add it, or replace what the account might do to the app. NotFound when either is gone."""

    async def collaborators(
        self, *, app_id: str | None = None, account_id: str | None = None
    ) -> Sequence[Collaborator]:
        """Of an app, of an account, or both, by e-mail."""

    async def delete_collaborator(self, app_id: str, account_id: str) -> None:
        """Absent: fine."""


class AuditStore(Protocol):
    """The audit: appended to and read, never changed."""

    async def add_audit(self, entry: NewEntry) -> None: ...

    async def audit(self, *, app_id: str | None = None, limit: int = 100, before: int | None = None) -> Sequence[Entry]:
        """Newest first, of one app or of all; `before` leaves out that number and all newer ones."""


class AppStore(Protocol):
    """Apps and their formation."""

    async def insert_app(self, app: App, first: NewRelease) -> Release:
        """The app with its v1, in one transaction. InvalidParams when the name is taken."""

    async def app(self, name_or_id: str) -> App:
        """NotFound when there is none, or it was destroyed."""

    async def apps(self) -> Sequence[App]:
        """All that are not destroyed, by name."""

    async def destroyed_apps(self) -> Sequence[str]:
        """Their ids."""

    async def rename_app(self, app_id: str, name: str) -> App:
        """The app as it then is. NotFound; InvalidParams when the name is taken."""

    async def give_app(self, app_id: str, account_id: str) -> App:
        """The app with another owner. NotFound."""

    async def set_release_timeout(self, app_id: str, seconds: float) -> App: ...

    async def archive_app(self, app_id: str) -> None:
        """Mark it destroyed and free its name; its ledger stays. Its add-ons are marked as going, its attachments and
        theirs as ended. May be repeated."""

    async def formation(self, app_id: str) -> Sequence[Formation]: ...

    async def set_formation(self, app_id: str, formation: Sequence[Formation]) -> None:
        """Replace it as a whole."""

    async def buildpacks(self, app_id: str) -> Sequence[str]:
        """In their order."""

    async def set_buildpacks(self, app_id: str, names: Sequence[str]) -> None:
        """Replace them as a whole. NotFound when the app is gone."""


class DomainStore(Protocol):
    """Host names of apps' own: one app's over all apps; a destroyed app has none."""

    async def insert_domain(self, domain: Domain) -> None:
        """NotFound without the app. InvalidParams when it is taken; or when one of the two is a wildcard over the
        other, and the owners differ."""

    async def domains(self, app_id: str) -> Sequence[Domain]:
        """By name."""

    async def delete_domain(self, domain_id: str) -> None:
        """Absent: fine."""


class UpkeepStore(Protocol):
    """How apps are kept in maintenance, and their own pages."""

    async def set_maintenance(self, app_id: str, maintenance: bool, kept: Upkeep | None = None) -> App:
        """With `kept` as a whole, but for its pages; None: as it is. NotFound."""

    async def end_maintenance(self, app_id: str, until: datetime) -> bool:
        """End what was to end at that time; False where that has been changed meanwhile. May be repeated."""

    async def maintenance_over(self, at: datetime) -> Sequence[App]:
        """Apps whose maintenance was to end by then."""

    async def set_page(self, app_id: str, page: Page, body: bytes) -> App:
        """Instead of the one uploaded, or fetched, before. NotFound."""

    async def delete_page(self, app_id: str, kind: PageKind, *, uploaded: bool) -> App:
        """The uploaded one, or the fetched one; no such page: fine. NotFound."""

    async def pages(self, app_id: str) -> Sequence[Page]:
        """Of each kind the one in force first: what was uploaded beats what was fetched."""

    async def page_body(self, sha256: str) -> bytes | None: ...


class DrainStore(Protocol):
    """Log drains, and how far each has got."""

    async def insert_drain(self, drain: Drain) -> None:
        """NotFound without the app."""

    async def drains(self, app_id: str | None = None) -> Sequence[Drain]:
        """Of an app, or all; oldest first."""

    async def move_drains(self, positions: Mapping[str, int]) -> None:
        """How far each, by its id, has got. Absent: fine."""

    async def delete_drain(self, drain_id: str) -> None:
        """Absent: fine."""


class WebhookStore(Protocol):
    """Webhooks, and what is to be told. A change of app, build, release or domain and its place in the outbox are one
    transaction, while the app has a webhook."""

    async def put_webhook(self, webhook: Webhook) -> None:
        """A new one, or in the place of the one with its id. NotFound without the app."""

    async def webhooks(self, app_id: str | None = None) -> Sequence[Webhook]:
        """Of an app, or all; oldest first."""

    async def delete_webhook(self, webhook_id: str) -> None:
        """With its deliveries. Absent: fine."""

    async def has_webhooks(self) -> bool: ...

    async def happenings(self, limit: int = 100) -> Sequence[Happening]:
        """What the outbox holds, oldest first."""

    async def settle_happening(self, number: int, event: Event | None, deliveries: Sequence[Delivery]) -> None:
        """Take it out, and put what becomes of it in, in one transaction. Done before: nothing happens."""

    async def events(self, app_id: str) -> Sequence[Event]:
        """The newest 1,000, oldest first."""

    async def event(self, app_id: str, event_id: str) -> Event:
        """NotFound when there is none."""

    async def deliveries(self, app_id: str) -> Sequence[Delivery]:
        """The newest 1,000, by number."""

    async def unfinished_deliveries(self) -> Sequence[Delivery]:
        """Of all apps, by number; 1,000 at most."""

    async def update_delivery(self, delivery: Delivery) -> None:
        """How far it got. Absent: nothing happens."""

    async def forget_deliveries(self, before: datetime) -> None:
        """Those that ended before then, and events that nobody is to be told of any more."""


class LedgerStore(Protocol):
    """Builds, releases and their stages."""

    async def insert_build(self, build: Build) -> None: ...

    async def finish_build(
        self,
        build_id: str,
        status: BuildStatus,
        *,
        builder: str | None = None,
        stack: str | None = None,
        artifact: str | None = None,
        processes: ProcessTypes | None = None,
        size: int | None = None,
        failure: str | None = None,
    ) -> Build:
        """Compare-and-set from `pending`; the build as it then is, unchanged if it was finished before."""

    async def build(self, app_id: str, build_id: str) -> Build:
        """NotFound when there is none."""

    async def builds(
        self, app_id: str, *, status: BuildStatus | None = None, limit: int | None = None
    ) -> Sequence[Build]:
        """Newest first: all, or those of a status, and the newest so many."""

    async def pending_builds(self) -> Sequence[Build]:
        """Of all apps."""

    async def record_release(self, release: NewRelease) -> Release:
        """Append it under the app's next number. ReleaseInProgress when one is pending; NotFound if the app is gone."""

    async def transition(self, release_id: str, old: Status, new: Status) -> bool:
        """Compare-and-set by TRANSITIONS; False when it was not `old`. Success also sets the app's released_at."""

    async def release(self, app_id: str, version_or_id: str) -> Release:
        """By "4", "v4" or UUID. NotFound when there is none."""

    async def releases(
        self,
        app_id: str,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        after: int | None = None,
        eligible: bool = False,
    ) -> Sequence[Release]:
        """By version; `after` leaves out all up to (or, newest first, all from) that version. `eligible`: only those
        that can be rolled back to."""

    async def first_releases(self, app_id: str) -> Mapping[str, str]:
        """Build id -> id of the first release made of it; rollbacks and config changes come later."""

    async def current_release(self, app_id: str) -> Release | None:
        """The highest version that succeeded."""

    async def newest_config(self, app_id: str) -> Mapping[str, str]:
        """The config of the newest release that has not failed."""

    async def own_config(self, app_id: str) -> Mapping[str, str]:
        """That of the newest release that has not failed, without what attachments gave it."""

    async def newest_attachments(self, app_id: str) -> Sequence[AttachedThen]:
        """Those of the newest release that has not failed."""

    async def pending_releases(self, app_id: str | None = None) -> Sequence[Release]: ...

    async def add_stage(self, release_id: str, stage: Stage, detail: str = "") -> None: ...

    async def stages(self, release_id: str) -> Sequence[StageRecord]:
        """In the order they were entered."""


class RequestStore(Protocol):
    """Calls that a client may send again, for a day. What belongs together: account, number, method and path."""

    def once(self, asked: Asked) -> AbstractContextManager[None]:
        """The first write in here, of whichever task that is begun in here, is one with the note that it was asked."""

    async def answered(self, asked: Asked) -> Answered | None:
        """None when it was never carried out as far as a write, or longer ago than answers are kept."""

    async def keep_answer(self, asked: Asked, answer: Answered) -> None: ...

    async def forget_request(self, asked: Asked) -> None:
        """It failed, and may be tried again."""


class Store(
    AccessStore,
    AppStore,
    DomainStore,
    UpkeepStore,
    LedgerStore,
    AuditStore,
    WebhookStore,
    DrainStore,
    AddonStore,
    TransferStore,
    RequestStore,
    Protocol,
):
    """All of it. Every method raises StoreUnavailable."""

    async def __aenter__(self) -> "Store": ...

    async def __aexit__(self, *exc: object) -> None: ...
