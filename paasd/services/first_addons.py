"""The add-ons that heroku.yml and app.json ask for: there before an app's first release, so that its release phase
finds them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from paasd.domain.access import Actor
from paasd.domain.addon import Addon, AddonState, Kind, Service
from paasd.domain.app import App
from paasd.domain.app_json import FILE as APP_JSON
from paasd.domain.app_json import WantedAddon
from paasd.domain.errors import Conflict, DeployFailed, InvalidParams, NotFound
from paasd.ports import Write
from paasd.services.addons import Addons

REMEDY = "mend {file}, or create what it wants by hand (`heroku addons:create`), and push again"
AGAIN = "push again once that is mended"


@dataclass(frozen=True, slots=True)
class FirstAddons:
    """Once, at an app's first deploy, as config vars of app.json. What heroku.yml says of a service comes first."""

    addons: Addons

    async def provide(self, actor: Actor, app: App, wanted: Sequence[WantedAddon], output: Write) -> None:
        """Create what the app has not, and wait for it. A service that there is not here is said and left out.

        Raises DeployFailed: a plan that there is not, a name that can't be had, or one that can't be provisioned;
        those that could be stay, and count at the next push. Unavailable as it is.
        """
        if not wanted or await self._deployed(app):
            return
        wanted = self._without_repeated(wanted)
        try:
            there, missing = await self._look(app, wanted, output)
            begun = [await self._create(actor, app, one, output) for one in missing]
        except (NotFound, InvalidParams, Conflict) as error:
            if isinstance(error, NotFound) and error.resource != "add_on_plan":  # the app itself has gone meanwhile
                raise
            files = list(dict.fromkeys(one.file for one in wanted))
            remedy = AGAIN if isinstance(error, Conflict) else REMEDY.format(file=" or ".join(files))
            raise DeployFailed(f"{' and '.join(files)}: {error.message.rstrip('.')}; {remedy}.") from error
        working = self.addons.work.working
        for addon in [*(one for one in there if one.state is AddonState.PROVISIONING or one.id in working), *begun]:
            self.addons.work.begin(addon, actor)
            await self._await(addon)

    def _without_repeated(self, wanted: Sequence[WantedAddon]) -> list[WantedAddon]:
        """Without what app.json says of an add-on that heroku.yml names already: with both, apps have one, not two."""
        before = [one for one in wanted if one.file != APP_JSON]
        found = list(before)
        for one in (one for one in wanted if one.file == APP_JSON):
            same = next((other for other in before if self._same(one, other)), None)
            if same is None:
                found.append(one)
            else:
                before.remove(same)
        return found

    def _same(self, one: WantedAddon, other: WantedAddon) -> bool:
        """Whether they are of one service, and `one` is to be attached as the other, or as nothing of its own."""
        try:
            service, theirs = (self.addons.catalogue.service(each.plan.partition(":")[0]) for each in (one, other))
        except NotFound:
            return False
        name = other.attach_as or theirs.variable
        return service.name == theirs.name and one.attach_as in (None, name)

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
                await output(f"-----> {variable} is set: {one.plan} of {one.file} is not created\n".encode())
            else:
                missing.append(replace(one, plan=plan.name))
        return there, missing

    async def _service(self, one: WantedAddon, output: Write) -> Service | None:
        name = one.plan.partition(":")[0]
        try:
            return self.addons.catalogue.service(name)
        except NotFound:
            words = f"{one.file} wants the add-on {one.plan}, which there is not here; the app goes without it"
            await output(f" !     {words}\n".encode())
            return None

    async def _create(self, actor: Actor, app: App, one: WantedAddon, output: Write) -> Addon:
        theirs = self.addons.catalogue.plan(one.plan)[0].kind is Kind.PARTNER
        options = one.options if theirs else {}
        addon = await self.addons.create(actor, app, one.plan, attach_as=one.attach_as, options=options)
        await output(f"-----> Creating {addon.name} ({one.plan}), which {one.file} asks for\n".encode())
        if one.options and not theirs:
            known = ", ".join(name[:60] for name in one.options)
            words = f"options of {one.plan} in {one.file} are not known here: {known}"
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
