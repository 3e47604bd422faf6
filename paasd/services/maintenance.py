"""Maintenance: on until some time, with a pause, with a way in for the team; and apps' own pages. None is a release."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import PaasError, WebUnavailable
from paasd.domain.upkeep import (
    PAGE_BYTES,
    Page,
    PageKind,
    Upkeep,
    check_bypass_seconds,
    check_networks,
    check_page,
    check_path,
    check_pause,
    check_until,
)
from paasd.ports import Store, Web
from paasd.services.background import Background, attempt
from paasd.services.logs import AppLogs
from paasd.services.routing import Routing
from router.table import BYPASS_PATH, bypass_token

log = structlog.get_logger(__name__)

FETCH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of maintenance besides its switch; None: nothing. `health_path` of "": the app's own again."""

    until: datetime | None = None
    pause: float | None = None
    allow: Sequence[str] | None = None
    health_path: str | None = None


@dataclass(frozen=True, slots=True)
class Bypass:
    """A way into an app in maintenance: the path of the link, and until when it is good."""

    path: str
    expires_at: datetime


async def switch(store: Store, routing: Routing, logs: AppLogs, actor: Actor, app: App, on: bool, kept: Upkeep) -> App:
    """Returns once the router goes by it. Makes no release. Raises RouterUnavailable, with all as it was."""
    before = await store.app(app.id)
    changed = await store.set_maintenance(app.id, on, kept)
    try:
        await routing.publish_maintenance(app.id)
    except PaasError:
        await store.set_maintenance(app.id, before.maintenance, before.upkeep)  # refused as a whole, not half
        raise
    how = f" (requests wait {kept.pause:g} seconds)" if on and kept.pause else ""
    end = f" until {kept.until:%Y-%m-%dT%H:%M:%SZ}" if on and kept.until else ""
    logs.note(app.id, "api", f"Maintenance mode {'on' if on else 'off'}{how}{end} by user {actor.shown}", source="app")
    return changed


def plain(kept: Upkeep, on: bool) -> Upkeep:
    """What a switch without a wish leaves: turned on, the links made for it stay good; turned off, nothing does."""
    return Upkeep(health_path=kept.health_path, bypass=kept.bypass if on else None)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Use cases on apps that are held back."""

    store: Store
    routing: Routing
    logs: AppLogs
    web: Web
    background: Background

    async def turn_on(self, actor: Actor, app: App, wish: Wish) -> App:
        """As wished and no other way: what an earlier call asked for is over. Raises InvalidParams."""
        kept = plain((await self.store.app(app.id)).upkeep, True)
        kept = replace(
            kept,
            until=check_until(wish.until, datetime.now(UTC)) if wish.until is not None else None,
            pause=check_pause(wish.pause) if wish.pause is not None else None,
            allow=check_networks(wish.allow or ()),
            health_path=_health_path(kept, wish),
        )
        return await switch(self.store, self.routing, self.logs, actor, app, True, kept)

    async def turn_off(self, actor: Actor, app: App, wish: Wish) -> App:
        """The health path may be set for next time. Raises InvalidParams."""
        kept = plain((await self.store.app(app.id)).upkeep, False)
        kept = replace(kept, health_path=_health_path(kept, wish))
        return await switch(self.store, self.routing, self.logs, actor, app, False, kept)

    async def bypass(self, actor: Actor, app: App, seconds: float, path: str) -> Bypass:
        """A link that lets its bearer in for so long, or until maintenance is turned off. Raises InvalidParams."""
        seconds, path = check_bypass_seconds(seconds), check_path(path, "path")
        app = await self.store.app(app.id)
        key = app.upkeep.bypass
        if key is None:
            key = secrets.token_hex(32)
            await self.store.set_maintenance(app.id, app.maintenance, replace(app.upkeep, bypass=key))
        await self.routing.publish_maintenance(app.id)
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        self.logs.note(app.id, "api", f"Maintenance bypass link made by user {actor.shown}", source="app")
        return Bypass(f"{BYPASS_PATH}{bypass_token(key, app.id, int(expires.timestamp()))}{path}", expires)

    async def pages(self, app: App) -> Sequence[Page]:
        """Of each kind the one in force first."""
        return await self.store.pages(app.id)

    async def set_page(self, actor: Actor, app: App, kind: PageKind, body: bytes) -> Page:
        """Show this page instead of ours. Raises InvalidParams."""
        page = Page(kind, check_page(body), len(body), datetime.now(UTC))
        await self.store.set_page(app.id, page, body)
        await self._publish(app)
        self.logs.note(app.id, "api", f"Set {kind.value} page by user {actor.shown}", source="app")
        return page

    async def clear_page(self, actor: Actor, app: App, kind: PageKind) -> None:
        """Take away what was uploaded; none: fine."""
        await self.store.delete_page(app.id, kind, uploaded=True)
        await self._publish(app)
        self.logs.note(app.id, "api", f"Clear {kind.value} page by user {actor.shown}", source="app")

    async def end_due(self) -> None:
        """What has come to its end by itself: the router has seen to it already, this makes the ledger say so too."""
        for app in await self.store.maintenance_over(datetime.now(UTC)):
            if app.upkeep.until is not None and await self.store.end_maintenance(app.id, app.upkeep.until):
                self.logs.note(app.id, "api", "Maintenance mode off: its time has come", source="app")
                await attempt(f"end maintenance of {app.name}", self.routing.publish_maintenance(app.id))

    async def check_urls(self, changes: Mapping[str, str | None]) -> None:
        """InvalidParams, naming the config var, for a page's URL that is not to be asked."""
        for kind in PageKind:
            url = changes.get(kind.variable)
            if url:
                try:
                    await self.web.check(url)
                except PaasError as error:
                    raise type(error)(f"{kind.variable}: {error.message}") from error

    def config_changed(self, app: App) -> None:
        """Look soon at what the config vars point to: nobody is kept waiting by somebody else's server."""
        self.background.spawn(f"fetch pages of {app.name}", attempt(f"pages of {app.name}", self.fetch(app)))

    async def fetch_all(self) -> None:
        """Look again at what the config vars point to; whoever's server is away keeps the page it gave before."""
        for app in await self.store.apps():
            await attempt(f"pages of {app.name}", self.fetch(app))

    async def fetch(self, app: App) -> None:
        """Of one app: fetch what its config vars name, forget what they name no more."""
        config = await self.store.newest_config(app.id)
        fetched = {page.kind: page for page in await self.store.pages(app.id) if page.source is not None}
        changed = False
        for kind in PageKind:
            url, before = config.get(kind.variable), fetched.get(kind)
            if url:
                changed |= await self._fetch(app, kind, url, before)
            elif before is not None:
                await self.store.delete_page(app.id, kind, uploaded=False)
                changed = True
        if changed:
            await self._publish(app)

    async def _fetch(self, app: App, kind: PageKind, url: str, before: Page | None) -> bool:
        """Whether there is a new page."""
        try:
            reply = await self.web.fetch(url, max_bytes=PAGE_BYTES, seconds=FETCH_SECONDS)
            if reply.status != 200:
                raise WebUnavailable(f"The server answered with HTTP {reply.status}: see that it serves the page.")
            sha256 = check_page(reply.body)
        except PaasError as error:
            kept = "; the page it gave before stays" if before is not None else ""
            said = f"{kind.variable} was not fetched{kept}. {error.message}"
            self.logs.note(app.id, "api", said, source="app")
            return False
        source = hashlib.sha256(url.encode()).hexdigest()
        if before is not None and (before.sha256, before.source) == (sha256, source):
            return False
        page = Page(kind, sha256, len(reply.body), datetime.now(UTC), source)
        await self.store.set_page(app.id, page, reply.body)
        self.logs.note(app.id, "api", f"{kind.variable} was fetched ({len(reply.body)} bytes)", source="app")
        return True

    async def _publish(self, app: App) -> None:
        """The ledger has it; a router that is down learns of it from reconcile, so this call has not failed."""
        try:
            await self.routing.publish_maintenance(app.id)
        except PaasError as error:
            log.warning("page left to reconcile", app=app.name, reason=error.message)


def _health_path(kept: Upkeep, wish: Wish) -> str | None:
    if wish.health_path is None:
        return kept.health_path
    return check_path(wish.health_path, "health_path") if wish.health_path else None
