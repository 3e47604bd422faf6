"""The add-ons that app.json asks for: there before an app's first release, so that its release phase finds them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paasd.domain.access import Actor
from paasd.domain.addon import Addon, AddonState, Kind, Service
from paasd.domain.app import App
from paasd.domain.app_json import WantedAddon
from paasd.domain.errors import Conflict, DeployFailed, InvalidParams, NotFound
from paasd.ports import Write
from paasd.services.addons import Addons

REMEDY = "mend app.json, or create what it wants by hand (`heroku addons:create`), and push again"
AGAIN = "push again once that is mended"


@dataclass(frozen=True, slots=True)
class FirstAddons:
    """Once, at an app's first deploy, as config vars of app.json."""

    addons: Addons

    async def provide(self, actor: Actor, app: App, wanted: Sequence[WantedAddon], output: Write) -> None:
        """Create what the app has not, and wait for it. A service that there is not here is said and left out.

        Raises DeployFailed: a plan that there is not, a name that can't be had, or one that can't be provisioned;
        those that could be stay, and count at the next push. Unavailable as it is.
        """
        if not wanted or await self._deployed(app):
            return
        try:
            there, missing = await self._look(app, wanted, output)
            begun = [await self._create(actor, app, one, output) for one in missing]
        except (NotFound, InvalidParams, Conflict) as error:
            if isinstance(error, NotFound) and error.resource != "add_on_plan":  # the app itself has gone meanwhile
                raise
            remedy = AGAIN if isinstance(error, Conflict) else REMEDY
            raise DeployFailed(f"app.json: {error.message.rstrip('.')}; {remedy}.") from error
        working = self.addons.work.working
        for addon in [*(one for one in there if one.state is AddonState.PROVISIONING or one.id in working), *begun]:
            self.addons.work.begin(addon, actor)
            await self._await(addon)

    async def _deployed(self, app: App) -> bool:
        """Once an app has code, each release has."""
        served = await self.addons.store.current_release(app.id)
        return served is not None and served.artifact is not None

    async def _look(
        self, app: App, wanted: Sequence[WantedAddon], output: Write
    ) -> tuple[list[Addon], list[WantedAddon]]:
        """Those that the app has, and those to be created, their plans looked up before any is made."""
        own = await self.addons.store.own_config(app.id)
        living = {one.id: one for one in await self.addons.of(app)}
        attached = await self.addons.attachments(app_id=app.id)
        held = [(one.name, living[one.addon_id]) for one in attached if one.addon_id in living]
        there, missing = [], []
        for one in wanted:
            service = await self._service(one, output)
            if service is None:
                continue
            _, plan = self.addons.catalogue.plan(one.plan)
            found = [each for each in held if each[1].service == service.name and one.attach_as in (None, each[0])]
            variable = f"{one.attach_as or service.variable}_URL"
            if found:
                held.remove(found[0])
                there.append(found[0][1])
            elif variable in own:
                await output(f"-----> {variable} is set: {one.plan} of app.json is not created\n".encode())
            else:
                missing.append(replace(one, plan=plan.name))
        return there, missing

    async def _service(self, one: WantedAddon, output: Write) -> Service | None:
        name = one.plan.partition(":")[0]
        try:
            return self.addons.catalogue.service(name)
        except NotFound:
            words = f"app.json wants the add-on {one.plan}, which there is not here; the app goes without it"
            await output(f" !     {words}\n".encode())
            return None

    async def _create(self, actor: Actor, app: App, one: WantedAddon, output: Write) -> Addon:
        theirs = self.addons.catalogue.plan(one.plan)[0].kind is Kind.PARTNER
        options = one.options if theirs else {}
        addon = await self.addons.create(actor, app, one.plan, attach_as=one.attach_as, options=options)
        await output(f"-----> Creating {addon.name} ({one.plan}), which app.json asks for\n".encode())
        if one.options and not theirs:
            known = ", ".join(name[:60] for name in one.options)
            words = f"options of {one.plan} in app.json are not known here: {known}"
            await output(f" !     {words}\n".encode())
        return addon

    async def _await(self, addon: Addon) -> None:
        task = self.addons.work.working.get(addon.id)
        if task is not None:
            await asyncio.wait([task])  # a pusher that goes away need not: it goes on by itself
        ended = await self.addons.store.addon(addon.id)
        if ended.state is not AddonState.PROVISIONED:
            why = (ended.failure or f"it is {ended.state.value}").rstrip(".")
            raise DeployFailed(f"The add-on {addon.name} ({addon.plan}) could not be provisioned: {why}; {AGAIN}.")
