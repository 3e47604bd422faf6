"""Use cases on add-ons: create, attach, detach, rename, resize, rotate, destroy and have again.

A call returns when the ledger has what was asked for; what takes long goes on in `AddonWork`.
"""

import asyncio
import random
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

import structlog

from paasd.domain.access import Actor
from paasd.domain.addon import Addon, AddonState, Attachment, Kind, Service, check_addon_name
from paasd.domain.addon_catalogue import Catalogue, generate_addon_name
from paasd.domain.app import App
from paasd.domain.errors import Ambiguous, ConfirmationRequired, Conflict, InvalidParams, NotFound
from paasd.ports import Access, AddonProvider, Condition, Order, Store
from paasd.services.addon_checks import attachment_name, require_options, require_provider, require_room
from paasd.services.addon_work import AddonWork
from paasd.services.background import attempt

log = structlog.get_logger(__name__)

SECRET_BYTES = 32
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Addons:
    """Use cases on add-ons."""

    store: Store
    work: AddonWork
    dice: random.Random = field(default_factory=random.SystemRandom)

    @property
    def catalogue(self) -> Catalogue:
        """The services and plans there are."""
        return self.work.catalogue

    # --- looking ----------------------------------------------------------------------------------------------------

    async def of(self, app: App) -> Sequence[Addon]:
        """Living ones that the app owns, or that it is attached to, by name."""
        attached = {one.addon_id for one in await self.attachments(app_id=app.id)}
        return [one for one in await self.all() if one.app_id == app.id or one.id in attached]

    async def all(self) -> Sequence[Addon]:
        """Living ones, by name."""
        return sorted((one for one in await self.store.addons() if one.alive), key=lambda one: one.name)

    async def destroyed(self) -> Sequence[Addon]:
        """Those whose data is kept, oldest first: a partner has none of it any more."""
        gone = [one for one in await self.store.addons() if one.state is AddonState.DEPROVISIONED]
        return [one for one in gone if self.catalogue.service_of(one.service).kind is not Kind.PARTNER]

    async def attachments(self, *, app_id: str | None = None, addon_id: str | None = None) -> Sequence[Attachment]:
        """Those that there are, oldest first."""
        found = await self.store.attachments(app_id=app_id, addon_id=addon_id)
        return [one for one in found if one.ended_at is None]

    async def find(self, name_or_id: str, app: App | None = None) -> Addon:
        """By name or id; with an app also by what it is attached to it as ("DATABASE", "DATABASE_URL"), and by its
        service or plan where that is the app's only one. NotFound; InvalidParams where it could be several."""
        if app is not None:
            for one in await self.attachments(app_id=app.id):
                if name_or_id in (one.name, f"{one.name}_URL", *one.values):
                    return await self.store.addon(one.addon_id)
        try:
            return await self.store.addon(name_or_id)
        except NotFound:
            if app is None:
                raise
        own = await self.of(app)
        services = {one.id: self.catalogue.service_of(one.service) for one in own}
        matching = [one for one in own if name_or_id in (one.plan, services[one.id].name, *services[one.id].aliases)]
        if len(matching) > 1:
            names = ", ".join(one.name for one in matching)
            raise Ambiguous(f"Ambiguous identifier; multiple matching add-ons found: {names}.", resource="add_on")
        return matching[0] if matching else await self.store.addon(name_or_id)

    async def find_failed(self, name_or_id: str) -> Addon:
        """The newest of that name that could not be provisioned, while it is told of. NotFound."""
        for one in reversed(await self.store.addons()):
            if one.state is AddonState.FAILED and name_or_id in (one.name, one.id):
                return one
        raise NotFound("Couldn't find that add-on; see `heroku addons`.", resource="add_on")

    async def find_attachment(self, name_or_id: str, app: App | None = None) -> Attachment:
        """By id; with an app also by its name or config var, or by the add-on's name. NotFound."""
        addons = {one.id: one.name for one in await self.all()}
        for one in await self.attachments(app_id=app.id if app else None):
            called = (one.name, f"{one.name}_URL", *one.values, addons.get(one.addon_id)) if app else ()
            if name_or_id == one.id or name_or_id in called:
                return one
        raise NotFound("Couldn't find that add-on attachment; see `heroku addons`.", resource="add_on attachment")

    def shown_state(self, addon: Addon) -> AddonState:
        """Until its first release is recorded an add-on is being provisioned: its config vars are not there yet."""
        task = self.work.working.get(addon.id)
        if addon.state is AddonState.PROVISIONED and task is not None and not task.done():
            return AddonState.PROVISIONING
        return addon.state

    def provider(self, addon: Addon) -> AddonProvider:
        """Where it is had from. Unavailable when that is not set up any more."""
        return self.work.provider(addon)

    async def order(self, addon: Addon) -> Order:
        """What its provider is asked with."""
        return await self.work.order(addon)

    async def access(self, addon: Addon, app: App | None = None) -> Access:
        """Its address and password, for its owner or another app that it is attached to. Conflict before it is up."""
        self._require_up(addon)
        return await self.provider(addon).access(await self.order(addon), app.id if app else addon.app_id)

    async def condition(self, addon: Addon) -> Condition:
        """How it is, asked of it."""
        return await self.provider(addon).condition(await self.order(addon))

    # --- changing ---------------------------------------------------------------------------------------------------

    async def create(
        self,
        actor: Actor,
        app: App,
        plan: str,
        *,
        name: str | None = None,
        attach_as: str | None = None,
        options: Mapping[str, str] = NONE,
    ) -> Addon:
        """Recorded as `provisioning`; the rest goes on by itself, and ends in a release that has its config vars.

        `options` are for a partner. NotFound for an unknown plan; InvalidParams for names and options; Conflict where
        such a thing can't be had here.
        """
        service, chosen = self.catalogue.plan(plan)
        if name is not None:
            check_addon_name(name)
        require_room(app, service, await self.of(app))
        require_options(service, options)
        attached = await self._attachment_name(app, service, attach_as)
        await require_provider(self.work.providers.get(service.provider), service)
        now = datetime.now(UTC)
        called = name or await self._free_name(service)
        addon = Addon(
            str(uuid.uuid4()), called, app.id, service.name, chosen.name, service.provider, called,
            AddonState.PROVISIONING, now, now, secrets.token_hex(SECRET_BYTES), options=options,
        )  # fmt: skip
        first = Attachment(str(uuid.uuid4()), addon.id, app.id, attached, now, now)
        recorded = await self.work.background.finish(f"record {called}", self.store.insert_addon(addon, first))
        self.work.say(app.id, f"Create {called} ({chosen.name}) add-on by user {actor.shown}")
        self.work.begin(recorded, actor)
        return recorded

    async def wait(self, addon: Addon) -> Addon:
        """Until nothing more is done for it; as it then is."""
        task = self.work.working.get(addon.id)
        if task is not None:
            await self.work.background.finish(f"wait for {addon.name}", _ended(task))
        return await self.store.addon(addon.id)

    async def attach(
        self, actor: Actor, app: App, addon: Addon, *, name: str | None = None, confirm: str | None = None
    ) -> Attachment:
        """To the app, too. A name that is taken is replaced with `confirm` (the app's name), and refused without; one
        that has that name already stays."""
        self._require_up(addon)
        for one in await self.attachments(app_id=app.id):
            if (one.addon_id, one.name, confirm) == (addon.id, name, app.name):
                return one
        async with self.work.background.lock(addon.id):
            replaced = await self._replaced(app, addon, name, confirm)
            service = self.catalogue.service_of(addon.service)
            if not service.shared and app.id != addon.app_id:
                raise InvalidParams(f"{addon.service} does not let other apps use its add-ons.", resource="add_on")
            chosen = name if replaced is not None and name else await self._attachment_name(app, service, name)
            now = datetime.now(UTC)
            made = Attachment(str(uuid.uuid4()), addon.id, app.id, chosen, now, now)
            await self.store.insert_attachment(made, replacing=replaced.id if replaced is not None else None)
            self.work.say(app.id, f"Attach {addon.name} as {chosen} by user {actor.shown}")
            await self.work.let_in(addon)
        await self.work.following.converge(app, actor)
        return made

    async def _replaced(self, app: App, addon: Addon, name: str | None, confirm: str | None) -> Attachment | None:
        for one in await self.attachments(app_id=app.id):
            if one.addon_id == addon.id and name is None and confirm is None:
                raise InvalidParams(
                    f"{addon.name} is attached to {app.name} as {one.name} already; give it another name with --as.",
                    resource="add_on attachment",
                )
            if name is not None and one.name == name:
                if one.addon_id == addon.id:
                    raise InvalidParams(
                        f"{addon.name} is attached to {app.name} as {name} already; there is nothing to do.",
                        resource="add_on attachment",
                    )
                if confirm != app.name:
                    raise ConfirmationRequired(
                        f"{name} is another add-on's attachment on {app.name}, and would be replaced; to go on, "
                        f"confirm with the app's name ({app.name}).",
                        resource="add_on attachment",
                    )
                return one
        return None

    async def detach(self, actor: Actor, attachment: Attachment) -> None:
        """One release without its config vars, and then the app is let in no more. The owner keeps its last one."""
        addon, app = await self.store.addon(attachment.addon_id), await self.store.app(attachment.app_id)
        own = [one for one in await self.attachments(addon_id=addon.id) if one.app_id == addon.app_id]
        if [one.id for one in own] == [attachment.id]:
            raise InvalidParams(
                "Cannot destroy last attachment to billing app; destroy the add-on instead "
                f"(`heroku addons:destroy {addon.name}`), whose data is then kept for 7 days.",
                resource="add_on attachment",
            )
        await self.store.end_attachment(attachment.id)
        self.work.say(app.id, f"Detach {attachment.name} ({addon.name}) by user {actor.shown}")
        await self.work.following.converge(app, actor)

    async def rename(self, actor: Actor, addon: Addon, name: str) -> Addon:
        """Another name; its address, and so its config vars, stay. InvalidParams when it is taken."""
        check_addon_name(name)
        async with self.work.background.lock(addon.id):
            await self.store.save_addon(replace(await self.store.addon(addon.id), name=name))
        self.work.say(addon.app_id, f"Rename {addon.name} to {name} by user {actor.shown}")
        return await self.store.addon(addon.id)

    async def upgrade(self, actor: Actor, addon: Addon, plan: str) -> Addon:
        """The bounds of another plan of its service, in force when this returns. InvalidParams where it won't fit."""
        self._require_up(addon)
        chosen = self.catalogue.sibling(self.catalogue.service_of(addon.service), plan)
        if chosen.name == addon.plan:
            raise InvalidParams(f"{addon.name} has the plan {addon.plan} already.", resource="add_on")
        return await self.work.background.finish(f"resize {addon.name}", self._upgrade(actor, addon.id, chosen.name))

    async def _upgrade(self, actor: Actor, addon_id: str, plan: str) -> Addon:
        async with self.work.background.lock(addon_id):
            wanted = replace(await self.store.addon(addon_id), plan=plan)
            told_anew = await self.work.resize(wanted)
        self.work.say(wanted.app_id, f"Change plan of {wanted.name} to {plan} by user {actor.shown}")
        if told_anew:
            await self.work.following.converge_all(addon_id, actor)
        return await self.store.addon(addon_id)

    async def rotate(self, actor: Actor, addon: Addon) -> Addon:
        """Another password: the old one is refused, and a release with the new one recorded, when this returns.

        Unavailable: it is done as soon as the provider answers. ProviderFailed: the old one stays.
        """
        self._require_up(addon)
        return await self.work.background.finish(f"rotate {addon.name}", self._rotate(actor, addon.id))

    async def _rotate(self, actor: Actor, addon_id: str) -> Addon:
        async with self.work.background.lock(addon_id):
            addon = await self.store.addon(addon_id)
            if addon.next_secret is None:
                addon = replace(addon, next_secret=secrets.token_hex(SECRET_BYTES))
                await self.store.save_addon(addon)
            addon = await self.work.finish_rotation(addon)
        self.work.say(addon.app_id, f"Rotate the password of {addon.name} by user {actor.shown}")
        await self.work.following.converge_all(addon_id, actor)
        return addon

    async def destroy(self, actor: Actor, addon: Addon, *, force: bool = False) -> Addon:
        """Releases without its config vars, then it is set aside: its data is kept for 7 days.

        Conflict where another app uses it, unless forced.
        """
        others = {one.app_id for one in await self.attachments(addon_id=addon.id)} - {addon.app_id}
        if others and not force:
            names = ", ".join(sorted([(await self.store.app(app_id)).name for app_id in others]))
            raise InvalidParams(
                f"{addon.name} is attached to other apps ({names}); detach it there, or destroy it all the same with "
                "--force.",
                resource="add_on",
            )
        if addon.state is AddonState.PROVISIONING:
            await self._stop_provisioning(addon)
        self.work.stop_mending(addon.id)
        async with self.work.background.lock(addon.id):
            addon = await self.store.addon(addon.id)  # it may have come up, or ended, meanwhile
            if addon.state is AddonState.PROVISIONING:
                await self.work.fail(addon, "Destroyed while it was being provisioned.")
                addon = await self.store.addon(addon.id)
            if not addon.alive:
                return addon
            await self._mark_going(addon)
        self.work.say(addon.app_id, f"Destroy {addon.name} add-on by user {actor.shown}")
        self.work.take_away(addon, actor)
        return await self.store.addon(addon.id)

    async def require_unshared(self, app: App) -> None:
        """InvalidParams where another app uses an add-on of this one, which is to be destroyed."""
        own = {one.id: one.name for one in await self.all() if one.app_id == app.id}
        for one in await self.attachments():
            if one.addon_id in own and one.app_id != app.id:
                other = (await self.store.app(one.app_id)).name
                raise InvalidParams(
                    f"{own[one.addon_id]} of {app.name} is attached to {other} as {one.name}; detach it there first "
                    f"(`heroku addons:detach {one.name} -a {other}`).",
                    resource="add_on",
                )

    def mend_soon(self) -> None:
        """Have what was left to be done begun now."""
        self.work.background.spawn("add-ons", attempt("add-ons", self.work.mend()))

    async def _mark_going(self, addon: Addon) -> None:
        own = [one for one in await self.attachments(addon_id=addon.id) if one.app_id == addon.app_id]
        if own:
            await self.store.save_addon(replace(addon, attached_as=own[0].name))
        if not await self.store.move_addon(addon.id, addon.state, AddonState.DEPROVISIONING):
            raise Conflict(f"{addon.name} has changed meanwhile; look at it again.", resource="add_on")

    async def _stop_provisioning(self, addon: Addon) -> None:
        task = self.work.working.get(addon.id)
        if task is not None:
            task.cancel()
            await self.work.background.finish(f"stop {addon.name}", _ended(task))
            self.work.working.pop(addon.id, None)

    async def undestroy(
        self, actor: Actor, name_or_id: str, app: App | None = None, *, attach_as: str | None = None
    ) -> Addon:
        """A destroyed one again, with its data, attached to its app or another. NotFound when its data is gone."""
        addon = await self._find_destroyed(name_or_id)
        app = app or await self._owner(addon)
        service = self.catalogue.service_of(addon.service)
        async with self.work.background.lock(addon.id):
            addon = await self._find_destroyed(addon.id)  # nobody else had it again meanwhile
            name = await self._attachment_name(app, service, attach_as or await self._former_name(app, addon))
            await self.work.bring_back(addon)
            await self.store.save_addon(replace(addon, app_id=app.id, attached_as=name))
            if not await self.store.move_addon(addon.id, AddonState.DEPROVISIONED, AddonState.PROVISIONED):
                raise Conflict(f"{addon.name} has changed meanwhile; look at it again.", resource="add_on")
            await self.work.finish(await self.work.attach_again(await self.store.addon(addon.id), name))
        self.work.say(app.id, f"Undestroy {addon.name} add-on by user {actor.shown}")
        await self.work.following.converge(app, actor)
        return await self.store.addon(addon.id)

    async def _owner(self, addon: Addon) -> App:
        try:
            return await self.store.app(addon.app_id)
        except NotFound:
            raise InvalidParams(
                f"The app of {addon.name} is destroyed; name the one that is to have it with --app.", resource="add_on"
            ) from None

    async def _former_name(self, app: App, addon: Addon) -> str | None:
        taken = {one.name for one in await self.attachments(app_id=app.id)}
        return addon.attached_as if addon.attached_as not in taken else None

    async def _find_destroyed(self, name_or_id: str) -> Addon:
        found = [one for one in await self.destroyed() if name_or_id in (one.id, one.name)]
        if not found:
            raise NotFound(
                "Couldn't find that destroyed add-on; its data is kept for 7 days, see `paas addons --destroyed`.",
                resource="add_on",
            )
        return found[-1]

    async def _attachment_name(self, app: App, service: Service, wanted: str | None) -> str:
        attached = await self.attachments(app_id=app.id)
        return await attachment_name(self.store, app, service, attached, wanted, self.dice)

    async def _free_name(self, service: Service) -> str:
        taken = {one.name for one in await self.all()}
        while (name := generate_addon_name(service, self.dice)) in taken:
            pass
        return name

    def _require_up(self, addon: Addon) -> None:
        if addon.state is not AddonState.PROVISIONED:
            raise Conflict(
                f"{addon.name} is {addon.state.value}; wait for it with `heroku addons:wait {addon.name}`.",
                resource="add_on",
            )


async def _ended(task: "asyncio.Task[None]") -> None:
    await asyncio.wait([task])
