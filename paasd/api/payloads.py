"""What webhooks are told of a happening: Heroku's payload around the resource as the API shows it."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from paasd.api.addon_resources import addon_resource, attachment_resource
from paasd.api.links import Links
from paasd.api.resources import (
    Resource,
    app_resource,
    build_resource,
    custom_domain_resource,
    release_resource,
    stamp,
    user_reference,
)
from paasd.domain.addon import Addon, AddonState, Attachment
from paasd.domain.addon_catalogue import Catalogue
from paasd.domain.app import App
from paasd.domain.errors import NotFound
from paasd.domain.hostname import Domain
from paasd.domain.webhook import Happening
from paasd.ports import Store

VERSION = "application/vnd.heroku+json; version=3"


class Payloads:
    """Renders happenings. Links that are secrets (output streams) are left out: a hook's host may be anybody's.

    Who did it is known of builds and releases; for the rest `actor` is empty, and the audit knows.
    """

    def __init__(self, store: Store, links: Links, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._links = links

    async def render(self, happening: Happening) -> Mapping[str, Any] | None:
        """None when what happened concerns something that is no more."""
        try:
            app = await self._store.app(happening.app_id)
            data, actor = await self._data(app, happening)
        except NotFound:
            return None
        now = datetime.now(UTC)
        return {
            "id": str(uuid.uuid4()),
            "action": happening.action,
            "actor": actor,
            "created_at": stamp(happening.at),
            "data": data,
            "previous_data": {},
            "published_at": stamp(now),
            "resource": happening.entity,
            "sequence": None,
            "updated_at": stamp(now),
            "version": VERSION,
        }

    async def _data(self, app: App, happening: Happening) -> tuple[Resource, Resource]:
        if happening.entity == "release":
            release = await self._store.release(app.id, happening.entity_id)
            current = await self._store.current_release(app.id)
            shown = release_resource(
                release, app, self._links, current=current is not None and current.id == release.id
            )
            return {**shown, "status": happening.detail, "output_stream_url": None}, user_reference(release.actor)
        if happening.entity == "build":
            build = await self._store.build(app.id, happening.entity_id)
            shown = build_resource(build, app, self._links, release_id=None)
            return {**shown, "status": happening.detail, "output_stream_url": None}, user_reference(build.actor)
        if happening.entity == "domain":
            domain = Domain(happening.entity_id, app.id, happening.detail, happening.at, happening.at)
            return custom_domain_resource(domain, app, self._links), {}
        if happening.entity == "addon":
            return await self._addon(app, happening), {}
        if happening.entity == "addon-attachment":
            return await self._attachment(app, happening), {}
        return app_resource(app, self._links), {}

    async def _addon(self, app: App, happening: Happening) -> Resource:
        addon = await self._store.addon(happening.entity_id)
        service, plan = self._catalogue.service_of(addon.service), self._catalogue.plan_of(addon.service, addon.plan)
        attached = await self._store.attachments(addon_id=addon.id)
        return addon_resource(addon, AddonState(happening.detail), app, service, plan, attached)

    async def _attachment(self, app: App, happening: Happening) -> Resource:
        then = json.loads(happening.detail)
        addon = await self._store.addon(then["addon"])
        created = datetime.fromtimestamp(then["created"] / 1_000_000, UTC)
        attachment = Attachment(happening.entity_id, addon.id, app.id, then["name"], created, happening.at)
        service, plan = self._catalogue.service_of(addon.service), self._catalogue.plan_of(addon.service, addon.plan)
        return attachment_resource(attachment, app, addon, await self._owner(addon), plan, service.suffixes)

    async def _owner(self, addon: Addon) -> App | None:
        try:
            return await self._store.app(addon.app_id)
        except NotFound:
            return None
