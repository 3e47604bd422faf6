"""What a third party may do here for the add-ons that it has: finish them, give their config vars, open its dashboard.

A partner is known by tokens, each for one add-on, which it has for the code that it was asked with and its own secret.
"""

import asyncio
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from paasd.domain.access import Account, Actor
from paasd.domain.addon import Addon, AddonState
from paasd.domain.app import App
from paasd.domain.errors import Conflict, InvalidParams, NotFound, Unauthorized
from paasd.domain.partner import ACCESS, CODE, REFRESH, SECONDS, Manifest, addon_of, issue, read_values, sso_fields
from paasd.ports import Store
from paasd.services.addon_work import AddonWork
from paasd.services.background import attempt

GRANTS = {"authorization_code": (CODE, "code"), "refresh_token": (REFRESH, "refresh_token")}


@dataclass(frozen=True, slots=True)
class Partners:
    """Use cases of partners. `key` signs their tokens, as the providers' codes; `spent` are codes by when they were
    used, as long as they would be good."""

    store: Store
    work: AddonWork
    manifests: Sequence[Manifest] = ()
    key: bytes = field(repr=False, default=b"")
    spent: dict[str, float] = field(default_factory=dict, repr=False)

    def manifest(self, addon: Addon) -> Manifest | None:
        """Of the partner that has it; None for one of ours, and where the partner is not set up any more."""
        return next((one for one in self.manifests if one.provider == addon.provider), None)

    # --- who it is --------------------------------------------------------------------------------------------------

    async def tokens(self, grant: str, given: str, secret: str) -> Mapping[str, str | int]:
        """OAuth's answer to a grant: access and refresh token. Unauthorized; InvalidParams for another grant."""
        if grant not in GRANTS:
            raise InvalidParams(f"grant_type must be one of {', '.join(GRANTS)}.")
        addon = await self._addon(GRANTS[grant][0], given)
        manifest = self.manifest(addon) if addon is not None else None
        wanted = manifest.secret if manifest is not None else ""
        if addon is None or not hmac.compare_digest(wanted.encode(), secret.encode("utf-8", "replace")) or not wanted:
            raise Unauthorized("The code, the refresh token or the client_secret is wrong; see addons.partners.")
        now = time.time()
        if grant == "authorization_code":
            self._spend(given, now)
        return {
            "access_token": issue(self.key, ACCESS, addon.id, now),
            "refresh_token": issue(self.key, REFRESH, addon.id, now),
            "expires_in": SECONDS[ACCESS],
            "token_type": "Bearer",
        }

    def _spend(self, code: str, now: float) -> None:
        """Once. Raises Unauthorized."""
        for old in [one for one, at in self.spent.items() if at < now - SECONDS[CODE]]:
            del self.spent[old]
        if code in self.spent:
            raise Unauthorized("This code was used already; use the refresh token that it gave.")
        self.spent[code] = now

    async def authenticate(self, token: str) -> Addon | None:
        """The add-on that an access token is for, while it lives."""
        return await self._addon(ACCESS, token)

    async def _addon(self, purpose: str, token: str) -> Addon | None:
        addon_id = addon_of(self.key, purpose, token, time.time())
        if addon_id is None:
            return None
        try:
            addon = await self.store.addon(addon_id)
        except NotFound:
            return None
        return addon if addon.alive and self.manifest(addon) is not None else None

    # --- what it tells ----------------------------------------------------------------------------------------------

    def config(self, addon: Addon) -> Mapping[str, str]:
        """The config vars that it gave, as its manifest names them."""
        manifest = self.manifest(addon)
        prefix = f"{manifest.prefix}_" if manifest is not None else ""
        return {f"{prefix}{suffix}": value for suffix, value in addon.values.items()}

    async def configure(self, addon: Addon, config: Mapping[str, object]) -> Addon:
        """Other config vars; None takes one away. Where the add-on is up, a release of each app follows by itself: the
        partner may be answering a call of ours just now. InvalidParams."""
        given = read_values(self._need(addon), {name: value for name, value in config.items() if value is not None})
        gone = read_values(self._need(addon), dict.fromkeys((name for name in config if config[name] is None), ""))
        return await self.work.background.finish(f"configure {addon.name}", self._configure(addon.id, given, gone))

    async def _configure(self, addon_id: str, given: Mapping[str, str], gone: Mapping[str, str]) -> Addon:
        async with self.work.background.lock(f"values of {addon_id}"):
            addon = await self.store.addon(addon_id)
            values = {name: value for name, value in {**addon.values, **given}.items() if name not in gone}
            await self.store.save_addon(replace(addon, values=values))
        if addon.state is AddonState.PROVISIONED and values != addon.values:
            follow = attempt(f"release the config of {addon.name}", self._release(addon_id))
            self.work.background.spawn(f"release the config of {addon.name}", follow)
        return await self.store.addon(addon_id)

    async def _release(self, addon_id: str) -> None:
        async with self.work.background.lock(addon_id):
            addon = await self.store.addon(addon_id)
            if addon.state is not AddonState.PROVISIONED:
                return
            await self.work.let_in(addon)
        await self.work.following.converge_all(addon_id, self.actor(addon, "daemon"))

    async def provisioned(self, addon: Addon) -> Addon:
        """It is there. Said before: fine. Conflict when it is given up."""
        self._need(addon)
        await self.store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.PROVISIONED)
        self._wake(addon)
        now = await self.store.addon(addon.id)
        if now.state is not AddonState.PROVISIONED:
            raise Conflict(f"{addon.name} is {now.state.value}: it is not wanted any more.", resource="add_on")
        return now

    async def deprovisioned(self, addon: Addon) -> Addon:
        """It could not be had, or is given up. Conflict while it is in use: its owner destroys it."""
        manifest = self._need(addon)
        if addon.state is AddonState.PROVISIONED:
            raise Conflict(f"{addon.name} is in use; its owner destroys it with `heroku addons:destroy`.")
        failure = f"{manifest.name} could not provide it."
        if await self.store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.FAILED, failure):
            self.work.say(addon.app_id, f"Add-on {addon.name} ({addon.plan}) could not be provisioned: {failure}")
        self._wake(addon)
        return await self.store.addon(addon.id)

    def _wake(self, addon: Addon) -> None:
        """Whoever waits for it; after a restart nobody does, and mending goes on with it."""
        if addon.id in self.work.working:
            self.work.told.setdefault(addon.id, asyncio.Event()).set()
        else:
            self.work.background.spawn("add-ons", attempt("add-ons", self.work.mend()))

    # --- its dashboard ----------------------------------------------------------------------------------------------

    def sso(self, addon: Addon, app: App, account: Account) -> tuple[str, Mapping[str, str]] | None:
        """(URL, fields of the form) that open it for somebody; None where the partner has none."""
        manifest = self.manifest(addon)
        if manifest is None or manifest.sso_url is None:
            return None
        resource = addon.resource or addon.id
        return manifest.sso_url, sso_fields(
            manifest, addon.id, resource, app.name, account.id, account.email, time.time()
        )

    def _need(self, addon: Addon) -> Manifest:
        manifest = self.manifest(addon)
        if manifest is None:
            raise InvalidParams(f"{addon.name} is no partner's; see addons.partners in paasd.yaml.", resource="add_on")
        return manifest

    def actor(self, addon: Addon, address: str) -> Actor:
        """Who stands in the records for its partner."""
        return Actor(self.work.catalogue.service_of(addon.service).id, f"{addon.service}@addons", "partner", address)
