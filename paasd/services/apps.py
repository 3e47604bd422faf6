"""What can be done to an app besides deploying it: create, find, destroy; config vars; maintenance."""

import asyncio
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from paasd.domain.access import Account, Actor
from paasd.domain.addon import AttachedNow
from paasd.domain.app import App, check_app_name, describe_config_change, generate_app_name, merge_config
from paasd.domain.errors import InvalidParams, NotFound, PaasError, StoreUnavailable
from paasd.domain.release import NewRelease, Status
from paasd.ports import Engine, Outputs, Sources, Store
from paasd.services.background import Background, attempt
from paasd.services.logs import AppLogs
from paasd.services.maintenance import plain, switch
from paasd.services.releases import Releases
from paasd.services.routing import Routing

log = structlog.get_logger(__name__)

DESTROY_GRACE = 10.0  # seconds between SIGTERM and SIGKILL: nobody will ask this app anything again
NAME_ATTEMPTS = 20
RELEASE_TIMEOUT_MAX = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Apps:
    """Use cases on apps. `not_free`: names under which the API itself is reached."""

    store: Store
    sources: Sources
    engine: Engine
    outputs: Outputs
    routing: Routing
    releases: Releases
    logs: AppLogs
    background: Background
    not_free: frozenset[str] = frozenset()
    dice: random.Random = field(default_factory=random.SystemRandom)

    async def create(self, actor: Actor, name: str | None) -> App:
        """A new app with its v1, its repository and its route. Raises InvalidParams when the name can't be had."""
        chosen = check_app_name(name, self.not_free) if name is not None else await self._free_name()
        now = datetime.now(UTC)
        app = App(str(uuid.uuid4()), chosen, actor.account_id, actor.email, False, now, now)
        first = NewRelease(app.id, "Initial release", actor, {}, {}, status=Status.SUCCEEDED)
        await self.sources.create(app.id)
        try:
            await self.background.finish(f"create {chosen}", self.store.insert_app(app, first))
        except PaasError:
            await self.sources.delete(app.id)
            raise
        self.logs.note(app.id, "api", f"Initial release by user {actor.shown}", source="app")
        await self._publish(app)
        return app

    async def find(self, name_or_id: str) -> App:
        """Raises NotFound."""
        return await self.store.app(name_or_id)

    async def exists(self, name_or_id: str) -> bool:
        """Whether there is one, as far as can be known: a ledger that does not answer denies nothing."""
        try:
            await self.store.app(name_or_id)
        except NotFound:
            return False
        except StoreUnavailable:
            return True
        return True

    async def all(self) -> Sequence[App]:
        """By name."""
        return await self.store.apps()

    async def repository_size(self, app: App) -> int:
        """Bytes of its git repository."""
        return await self.sources.size(app.id)

    async def destroy(self, actor: Actor, app: App) -> None:
        """Archive the ledger, then take everything else away in the background. Raises ReleaseInProgress."""
        async with self.releases.turn(app):
            await self.background.finish(f"archive {app.name}", self.store.archive_app(app.id))
        log.info("app destroyed", app=app.name, by=actor.email)
        await self._publish(app)
        self.background.spawn(f"clear away {app.name}", self.clear_away(app.id))

    async def clear_away(self, app_id: str) -> None:
        """Everything of a destroyed app but its ledger. May be repeated: recovery does, as long as artifacts are left,
        so these go last, and what needs no engine first."""
        await self.sources.delete(app_id)
        await self.outputs.delete_app(app_id)
        await self.logs.forget(app_id)
        self.background.forget(app_id)
        dynos = await self.engine.dynos(app_id)
        await asyncio.gather(*(self.engine.stop(dyno.id, grace=DESTROY_GRACE) for dyno in dynos))
        await self.engine.remove_network(app_id)
        for artifact in await self.engine.artifacts():
            if artifact.app_id == app_id:
                await self.engine.delete_artifact(artifact.name)
        await attempt("purge build cache", self.engine.purge_cache(app_id))

    async def rename(self, actor: Actor, app: App, name: str) -> App:
        """Another name, address and git URL; the release goes on. Raises InvalidParams, ReleaseInProgress."""
        check_app_name(name, self.not_free)
        async with self.releases.turn(app):
            renamed = await self.background.finish(f"rename {app.name}", self.store.rename_app(app.id, name))
        self.logs.note(app.id, "api", f"Renamed from {app.name} to {name} by user {actor.shown}", source="app")
        await self._publish(renamed)
        return renamed

    async def give(self, actor: Actor, app: App, recipient: Account) -> App:
        """Another owner; what the new one might do as a collaborator is included in that."""
        given = await self.store.give_app(app.id, recipient.id)
        await self.store.delete_collaborator(app.id, recipient.id)
        self.logs.note(app.id, "api", f"Given to {recipient.email} by user {actor.shown}", source="app")
        return given

    async def set_maintenance(self, actor: Actor, app: App, on: bool) -> App:
        """Returns once the router shows, or no longer shows, the page. Makes no release. Raises RouterUnavailable."""
        kept = plain((await self.store.app(app.id)).upkeep, on)
        return await switch(self.store, self.routing, self.logs, actor, app, on, kept)

    async def set_release_timeout(self, app: App, seconds: float) -> App:
        """How long the release phase may take. Raises InvalidParams."""
        return await self.store.set_release_timeout(app.id, check_release_timeout(seconds))

    async def buildpacks(self, app: App) -> Sequence[str]:
        """Those the app names, in their order."""
        return await self.store.buildpacks(app.id)

    async def set_buildpacks(self, app: App, names: Sequence[str]) -> None:
        """Replace them as a whole."""
        await self.store.set_buildpacks(app.id, names)

    async def config(self, app: App) -> Mapping[str, str]:
        """Of the newest release that has not failed."""
        return await self.store.newest_config(app.id)

    async def set_config(self, actor: Actor, app: App, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Lay changes over the newest config and release that; None removes. Returns the new config once recorded.

        Nothing changed: no release. Before the first build there is nothing to start, so it succeeds at once.
        Raises InvalidParams, ReleaseInProgress.
        """
        await self._check_change(app, changes)
        acknowledged: Mapping[str, str] = {}

        async def draft() -> NewRelease | None:
            nonlocal acknowledged
            before, attached = await self._check_change(app, changes)
            own = merge_config(before, changes)
            acknowledged = {**own, **attached.config}
            description = describe_config_change(before, changes)
            if description is None:
                return None
            served = await self.store.current_release(app.id)
            new = NewRelease(app.id, description, actor, own, {}, status=Status.SUCCEEDED)
            return (
                new if served is None or served.artifact is None else await self.releases.with_code_of(app, served, new)
            )

        await self.releases.begin(app, draft)
        return acknowledged

    async def _check_change(self, app: App, changes: Mapping[str, str | None]) -> tuple[Mapping[str, str], AttachedNow]:
        """The app's own config vars, and its add-ons. InvalidParams for what can't be set, or is an add-on's."""
        own, attached = await self.store.own_config(app.id), await self.store.attached_now(app.id)
        merge_config(own, changes)
        if taken := sorted(changes.keys() & attached.config.keys()):
            raise InvalidParams(
                f"Cannot overwrite attachment values {', '.join(taken)}; detach the add-on, or attach another under "
                "that name (`heroku addons:attach --as`)."
            )
        return own, attached

    async def _publish(self, app: App) -> None:
        """The ledger has it; a router that is down learns of it from reconcile, so this call has not failed."""
        try:
            await self.routing.publish(app.id)
        except PaasError as error:
            log.warning("route left to reconcile", app=app.name, reason=error.message)

    async def _free_name(self) -> str:
        taken = {app.name for app in await self.store.apps()}
        for _ in range(NAME_ATTEMPTS):
            name = generate_app_name(self.dice)
            if name not in taken:
                return name
        raise InvalidParams("No free name was found; choose one yourself.", resource="app")


def check_release_timeout(seconds: float) -> float:
    """Raises InvalidParams."""
    if not 0 < seconds <= RELEASE_TIMEOUT_MAX:
        raise InvalidParams(f"release_timeout must be more than 0 and at most {RELEASE_TIMEOUT_MAX:g} seconds.")
    return seconds
