"""The data behind add-ons: what is asked of a database or a store of keys, whichever provider has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paasd.domain.addon import Addon, AddonState, Kind
from paasd.domain.app import App
from paasd.domain.errors import Conflict, NotFound
from paasd.ports import Access, AddonProvider, Condition, Order, Shell, Size, Store
from paasd.services.addon_work import AddonWork

WORDS = {Kind.POSTGRESQL: "database", Kind.REDIS: "key-value store", Kind.PARTNER: "service"}


@dataclass(frozen=True, slots=True)
class Databases:
    """Use cases on what is provisioned."""

    store: Store
    work: AddonWork

    async def find(self, kind: Kind, name_or_id: str) -> Addon:
        """A living add-on of that kind. NotFound."""
        addon = await self.store.addon(name_or_id)
        if not addon.alive or self.work.catalogue.service_of(addon.service).kind is not kind:
            raise NotFound(f"Couldn't find that {WORDS[kind]}; `heroku addons` lists yours.", resource="add_on")
        return addon

    async def living(self, addon_id: str) -> Addon:
        """By its id. NotFound when it is gone, or going."""
        addon = await self.store.addon(addon_id)
        if not addon.alive:
            raise NotFound(f"{addon.name} is no more.", resource="add_on")
        return addon

    async def apps(self, addon: Addon) -> Sequence[App]:
        """Those that it is attached to, its owner first."""
        ids = [one.app_id for one in await self.store.attachments(addon_id=addon.id) if one.ended_at is None]
        return [await self.store.app(app_id) for app_id in dict.fromkeys((addon.app_id, *ids))]

    async def reach(self, addon_id: str) -> tuple[AddonProvider, Order]:
        """What it is had by. NotFound; Conflict while it is not provisioned."""
        addon = await self.store.addon(addon_id)
        if addon.state is not AddonState.PROVISIONED:
            raise Conflict(f"{addon.name} is {addon.state.value}; wait for it with `heroku addons:wait {addon.name}`.")
        return self.work.provider(addon), await self.work.order(addon)

    async def condition(self, addon: Addon) -> Condition:
        """Asked of it now. Conflict while it is not provisioned."""
        provider, order = await self.reach(addon.id)
        return await provider.condition(order)

    async def access(self, addon: Addon) -> Access:
        """As its owner's dynos have it, or those of an app that it is attached to. Conflict where there is none."""
        provider, order = await self.reach(addon.id)
        if not order.apps:
            raise Conflict(f"{addon.name} is attached to no app; attach it with `heroku addons:attach {addon.name}`.")
        return await provider.access(order, addon.app_id if addon.app_id in order.apps else order.apps[0])

    async def hang_up(self, addon: Addon) -> None:
        """End all connections of the apps' user."""
        provider, order = await self.reach(addon.id)
        await provider.hang_up(order)

    async def talk(self, addon: Addon, argv: Sequence[str], env: Mapping[str, str], size: Size | None) -> Shell:
        """One of its own client programs."""
        provider, order = await self.reach(addon.id)
        return await provider.tool(order, argv, env, size=size)
