"""What is done for add-ons behind the calls: provisioning, letting apps in, mending, taking away.

The ledger says what should be; every step may be repeated, so whatever a killed daemon left goes on from its rows.
"""

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from paasd.domain.access import Actor
from paasd.domain.addon import Addon, AddonState, Attachment, Kind
from paasd.domain.addon_catalogue import Catalogue
from paasd.domain.errors import NotFound, PaasError, ProviderFailed, Unavailable
from paasd.failpoints import Failpoints
from paasd.ports import AddonProvider, Order, Provided, Store
from paasd.services.addon_absent import AbsentProviders
from paasd.services.addon_releases import SOURCE, AddonReleases
from paasd.services.background import Background, attempt
from paasd.services.logs import AppLogs
from paasd.services.releases import Releases

log = structlog.get_logger(__name__)

AT_ONCE = 4  # servers that are started again


@dataclass(frozen=True, slots=True)
class AddonRules:
    """Seconds: for provisioning in all, between two tries; and how long a failed one is told of."""

    deadline: float = 600.0
    retry: float = 2.0
    told: float = 24 * 3600.0


@dataclass(slots=True)
class AddonWork:
    """`working` are the tasks that bring add-ons up or take them away, by the add-ons' ids; `told` is set when a
    partner says at our API what became of one that it was asked for."""

    store: Store
    releases: Releases
    logs: AppLogs
    background: Background
    providers: Mapping[str, AddonProvider]
    catalogue: Catalogue
    rules: AddonRules = field(default_factory=AddonRules)
    failpoints: Failpoints = field(default_factory=Failpoints)
    working: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    mending: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    told: dict[str, asyncio.Event] = field(default_factory=dict)
    following: AddonReleases = field(init=False)
    _absent: AbsentProviders = field(default_factory=AbsentProviders)
    _cleared: set[str] = field(default_factory=set)
    _refused: dict[str, str] = field(default_factory=dict)  # why one can't be taken away, as it was said

    def __post_init__(self) -> None:
        self.following = AddonReleases(
            self.store, self.releases, self.logs, self.background, self.failpoints, self.shut_out
        )

    def provider(self, addon: Addon) -> AddonProvider:
        """Unavailable where it is not set up any more."""
        found = self.providers.get(addon.provider)
        if found is None:
            raise Unavailable(
                f"{addon.name} is had from the provider {addon.provider!r}, which this daemon does not have; "
                "set it up again (addons.partners in paasd.yaml), and restart it."
            )
        return found

    async def order(self, addon: Addon) -> Order:
        """What its provider is to provide now."""
        attached = await self.store.attachments(addon_id=addon.id)
        return self.order_of(addon, attached)

    def order_of(self, addon: Addon, attached: Iterable[Attachment]) -> Order:
        """The same where the attachments are known; ended ones count until their apps are shut out."""
        apps = tuple(dict.fromkeys(one.app_id for one in attached if one.addon_id == addon.id))
        return Order(
            addon_id=addon.id,
            name=addon.host,
            kind=self.catalogue.service_of(addon.service).kind,
            plan=self.catalogue.plan_of(addon.service, addon.plan),
            apps=apps,
            secret=addon.secret,
            called=addon.name,
            resource=addon.resource,
            values=addon.values,
            options=addon.options,
        )

    def say(self, app_id: str, text: str) -> None:
        """A line in the app's log."""
        self.logs.note(app_id, "api", text, source=SOURCE)

    # --- bringing up ------------------------------------------------------------------------------------------------

    def begin(self, addon: Addon, actor: Actor) -> "asyncio.Task[None]":
        """Provision it in a task of its own; the one that there is already, where there is one."""
        if addon.id not in self.working:
            task = self.background.spawn(f"provision {addon.name}", self._provision(addon, actor))
            self.working[addon.id] = task
            task.add_done_callback(lambda _: self.working.pop(addon.id, None))
        return self.working[addon.id]

    async def _provision(self, addon: Addon, actor: Actor) -> None:
        async with self.background.lock(addon.id):
            if (await self.store.addon(addon.id)).state is not AddonState.PROVISIONING:
                return
            await self.failpoints.reach("addon-row")
            failure = await self._provide(addon)
            if failure is not None:
                await self.fail(addon, failure)
                return
            await self.failpoints.reach("addon-made")
            moved = await self.store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.PROVISIONED)
            if not moved and (state := (await self.store.addon(addon.id)).state) is not AddonState.PROVISIONED:
                if state is AddonState.FAILED:  # its partner said so
                    await attempt(f"purge {addon.name}", self._clear(addon))
                return
            await self.failpoints.reach("addon-provisioned")
            self.say(addon.app_id, f"Add-on {addon.name} ({addon.plan}) is provisioned")
            await self.let_in(await self.store.addon(addon.id))
        await self.following.converge_all(addon.id, actor)

    async def _provide(self, addon: Addon) -> str | None:
        """Why it could not be had; None once it is there."""
        left = (addon.created_at - datetime.now(UTC)).total_seconds() + self.rules.deadline
        away = "it was not up in time."
        try:
            async with asyncio.timeout(max(left, 0.0)):
                while True:
                    try:
                        made = await self.provider(addon).provision(await self.order(addon))
                        await self.note(addon.id, made)
                        if made is not None and made.pending:
                            away = f"{addon.service} has not said that it is there."
                            await self.told.setdefault(addon.id, asyncio.Event()).wait()
                    except Unavailable as error:
                        away = error.message
                        await asyncio.sleep(self.rules.retry)
                    else:
                        return None
        except TimeoutError:
            return f"Given up after {self.rules.deadline:g} seconds: {away}"
        except PaasError as error:
            return error.message
        except Exception as error:
            log.exception("provisioning failed unexpectedly", addon=addon.name)
            return f"Internal error ({type(error).__name__}); see the daemon's log."
        finally:
            self.told.pop(addon.id, None)

    async def note(self, addon_id: str, made: Provided | None) -> None:
        """Keep what a partner gave; what it told us meanwhile stays where it gives nothing else."""
        if made is not None:
            async with self.background.lock(f"values of {addon_id}"):
                addon = await self.store.addon(addon_id)
                values, message = {**addon.values, **made.values}, made.message or addon.message
                await self.store.save_addon(replace(addon, resource=made.resource, values=values, message=message))

    async def fail(self, addon: Addon, failure: str) -> None:
        """Nothing of it stays: it was never provisioned, so there is no data of anybody's."""
        await attempt(f"purge {addon.name}", self._clear(addon))
        await self.store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.FAILED, failure)
        self.say(addon.app_id, f"Add-on {addon.name} ({addon.plan}) could not be provisioned: {failure}")
        log.warning("add-on not provisioned", addon=addon.name, reason=failure)

    async def _purge(self, addon: Addon) -> None:
        await self.provider(addon).purge(await self.order(await self.store.addon(addon.id)))

    async def _clear(self, addon: Addon) -> None:
        """Nothing of one that failed, or no server of one that was destroyed: seen to once in a daemon's life."""
        if addon.id in self._cleared:
            return
        if addon.state is AddonState.DEPROVISIONED:
            await self.provider(addon).set_aside(await self.order(addon))
        else:
            await self._purge(addon)
        self._cleared.add(addon.id)

    async def let_in(self, addon: Addon, *, anew: bool = False) -> None:
        """Every app that it is attached to can reach it, and its config vars are known; `anew`: they have changed, as
        a partner's may at any time."""
        attached = await self.store.attachments(addon_id=addon.id)
        provider, order = self.provider(addon), self.order_of(addon, attached)
        found = {}
        for one in attached:
            if one.ended_at is None and (anew or not one.values or addon.values):
                await provider.link(order, one.app_id)
                given = (await provider.access(order, one.app_id)).variables
                named = {f"{one.name}_{suffix}": value for suffix, value in given.items()}
                if named != one.values:
                    found[one.id] = named
        if found:
            await self.store.set_attachment_values(found)

    async def shut_out(self, app_id: str) -> None:
        """Of add-ons that the app is detached from, once no release that is served has them."""
        attached = await self.store.attachments(app_id=app_id)
        held = {one.addon_id for one in attached if one.ended_at is None}
        try:
            await self.store.app(app_id)
            current = await self.store.current_release(app_id)
        except NotFound:
            current = None
        held |= {one.addon_id for one in current.attachments} if current else set()
        for one in attached:
            if one.ended_at is None:
                continue
            addon = await self.store.addon(one.addon_id)
            if addon.state is not AddonState.PROVISIONED or addon.provider not in self.providers:
                continue  # nobody reaches what is being taken away, or is had from nowhere
            if one.addon_id not in held:
                await self.provider(addon).unlink(await self.order(addon), app_id)
            elif all(other.ended_at is not None for other in attached if other.addon_id == one.addon_id):
                continue  # the release that is served still has it
            await self.store.delete_attachment(one.id)

    async def resize(self, addon: Addon) -> bool:
        """Put its plan in force and record it. Whether a partner gave other config vars with it."""
        made = await self.provider(addon).resize(await self.order(addon))
        async with self.background.lock(f"values of {addon.id}"):  # it may have told us others while it was asked
            await self.store.save_addon(replace(await self.store.addon(addon.id), plan=addon.plan))
        await self.note(addon.id, made)
        if made is None or made.values.items() <= addon.values.items():
            return False
        await self.let_in(await self.store.addon(addon.id), anew=True)
        return True

    # --- taking away ------------------------------------------------------------------------------------------------

    def take_away(self, addon: Addon, actor: Actor) -> "asyncio.Task[None]":
        """Set one aside that is marked as going, in a task of its own."""
        if addon.id not in self.working:
            task = self.background.spawn(f"deprovision {addon.name}", self._take_away(addon, actor))
            self.working[addon.id] = task
            task.add_done_callback(lambda _: self.working.pop(addon.id, None))
        return self.working[addon.id]

    async def _take_away(self, addon: Addon, actor: Actor) -> None:
        async with self.background.lock(addon.id):
            if (await self.store.addon(addon.id)).state is not AddonState.DEPROVISIONING:
                return
            await self.following.converge_all(addon.id, actor)
            apps = {one.app_id for one in await self.store.attachments(addon_id=addon.id)}
            for app_id in apps:  # dynos that use it are gone before it is, wherever that can be had
                async with self.background.lock(app_id):
                    pass
            await self.failpoints.reach("addon-going")
            await self._set_aside(await self.store.addon(addon.id))
            await self.store.move_addon(addon.id, AddonState.DEPROVISIONING, AddonState.DEPROVISIONED)
        theirs = self.catalogue.service_of(addon.service).kind is Kind.PARTNER
        kept = "" if theirs else "; its data is kept for `paas addons:undestroy`"
        self.say(addon.app_id, f"Add-on {addon.name} is destroyed{kept}")

    async def _set_aside(self, addon: Addon) -> None:
        try:
            await self.provider(addon).set_aside(await self.order(addon))
        except (Unavailable, ProviderFailed) as error:
            if self._refused.get(addon.id) != error.message:  # it is tried again in each round
                self._refused[addon.id] = error.message
                self.say(addon.app_id, f"Add-on {addon.name} can't be destroyed yet: {error.message}")
                log.warning("add-on not destroyed yet", addon=addon.name, reason=error.message)
            raise
        self._refused.pop(addon.id, None)

    # --- mending ----------------------------------------------------------------------------------------------------

    async def mend(self) -> None:
        """One round over all: what was killed runs again, what a daemon left in the middle goes on or is undone."""
        everything = self._absent.leave_out(await self.store.addons(), self.providers)
        # One that somebody is changing may be down for that: two at once would make its server twice.
        up = [one for one in everything if one.state is AddonState.PROVISIONED]
        free, places = [one for one in up if not self.background.lock(one.id).locked()], asyncio.Semaphore(AT_ONCE)

        async def look_after(addon: Addon) -> None:
            async with places:
                await attempt(f"mend {addon.name}", self.mend_one(addon.id))

        await asyncio.gather(*(look_after(addon) for addon in free))
        for addon in everything:
            if addon.id not in self.working and not self.background.lock(addon.id).locked():
                await attempt(f"settle {addon.name}", self._settle(addon))
        for app_id in dict.fromkeys(one.app_id for one in await self.store.attachments()):
            await attempt("settle an app's add-ons", self.following.settle(app_id))

    async def mend_one(self, addon_id: str) -> None:
        """It runs, where it should. In its turn: after what is being done with it. NotFound."""
        async with self.background.lock(addon_id):
            addon = await self.store.addon(addon_id)
            if addon.state is not AddonState.PROVISIONED:
                return
            work = self.provider(addon).mend([await self.order(addon)])
            task = self.mending[addon_id] = self.background.spawn(f"mend {addon.name}", work)
            try:
                await asyncio.wait([task])
            finally:
                del self.mending[addon_id]
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def go_on(self, addon_id: str) -> None:
        """What was begun with it and could not be done while it was down, and the releases of that. NotFound."""
        async with self.background.lock(addon_id):
            await self.finish(await self.store.addon(addon_id))
        for app_id in dict.fromkeys(one.app_id for one in await self.store.attachments(addon_id=addon_id)):
            await attempt("settle an app's add-ons", self.following.settle(app_id))

    def stop_mending(self, addon_id: str) -> None:
        """One that is to go need not come up first, which may take minutes where it can't."""
        if addon_id in self.mending:
            self.mending[addon_id].cancel()

    async def _settle(self, addon: Addon) -> None:
        if addon.state is AddonState.PROVISIONING:
            self.begin(addon, await self.owner(addon))
        elif addon.state is AddonState.DEPROVISIONING:
            self.take_away(addon, await self.owner(addon))
        else:
            async with self.background.lock(addon.id):
                await self._settle_in_turn(await self.store.addon(addon.id))

    async def _settle_in_turn(self, addon: Addon) -> None:
        now = datetime.now(UTC)
        if addon.state is AddonState.PROVISIONED:
            await self.finish(addon)
        elif addon.state is AddonState.FAILED and addon.ended_at is not None:
            await self._clear(addon)
            if addon.ended_at + timedelta(seconds=self.rules.told) < now:
                await self.store.forget_addon(addon.id)
        elif addon.state is AddonState.DEPROVISIONED and addon.kept_until is not None and addon.kept_until < now:
            await self._purge(addon)
            await self.store.forget_addon(addon.id)
            log.info("data of a destroyed add-on removed", addon=addon.name)
        elif addon.state is AddonState.DEPROVISIONED:
            await self._clear(addon)  # a daemon that was killed in the middle of `undestroy` has left its server

    async def finish(self, addon: Addon) -> None:
        """What was begun with one that is up: to bring it back, to change its password, to let apps in."""
        if addon.state is not AddonState.PROVISIONED:
            return
        if addon.attached_as is not None:
            await self.bring_back(addon)
            addon = await self.attach_again(addon, addon.attached_as)
        if addon.next_secret is not None:
            addon = await self.finish_rotation(addon)
        await self.let_in(addon)

    async def bring_back(self, addon: Addon) -> None:
        """Its server runs again, with its data; where no more comes of it, the next round sets it aside again."""
        self._cleared.discard(addon.id)
        await self.provider(addon).bring_back(await self.order(addon))

    async def attach_again(self, addon: Addon, name: str) -> Addon:
        """One that was brought back, to its owner, unless it is already; then it is as any other."""
        held = await self.store.attachments(addon_id=addon.id)
        if not any(one.app_id == addon.app_id and one.ended_at is None for one in held):
            now = datetime.now(UTC)
            await self.store.insert_attachment(Attachment(str(uuid.uuid4()), addon.id, addon.app_id, name, now, now))
        whole = replace(addon, attached_as=None)
        await self.store.save_addon(whole)
        return whole

    async def finish_rotation(self, addon: Addon) -> Addon:
        """Make the next secret the password. Repeated after a crash; a provider that can't do it keeps the old one."""
        assert addon.next_secret is not None
        provider, rotated = self.provider(addon), replace(addon, secret=addon.next_secret, next_secret=None)
        try:
            await provider.rotate(await self.order(rotated))
        except Unavailable:
            raise  # it may have been done: nothing else than to go on is safe
        except PaasError:
            kept = replace(addon, next_secret=None)
            await attempt(f"keep the password of {addon.name}", provider.rotate(await self.order(kept)))
            await self.store.save_addon(kept)
            raise
        await self.failpoints.reach("addon-rotated")
        await self.let_in(rotated, anew=True)
        await self.store.save_addon(rotated)
        return rotated

    async def owner(self, addon: Addon) -> Actor:
        """Who stands for what the daemon does by itself."""
        try:
            app = await self.store.app(addon.app_id)
        except NotFound:
            return Actor("", "", "", "")
        return Actor(app.owner_id, app.owner_email, "", "")
