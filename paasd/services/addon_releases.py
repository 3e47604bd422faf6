"""The releases that follow what is done with add-ons: one for each app whose config vars that changes."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paasd.domain.access import Actor
from paasd.domain.addon import AttachedNow, describe_attachments
from paasd.domain.app import App
from paasd.domain.errors import NotFound
from paasd.domain.release import NewRelease, Release, Stage, Status
from paasd.failpoints import Failpoints
from paasd.ports import Store
from paasd.services.background import Background, attempt
from paasd.services.logs import AppLogs
from paasd.services.releases import Releases, UnderWay

SOURCE = "app"
INTERRUPTED = ("daemon restarted during", "Cancelled during")


async def nothing(_: App) -> None:
    """Whoever mends next starts them."""


@dataclass(slots=True)
class AddonReleases:
    """`shut_out` takes the ways in of an app that no release needs; `start` has an app's dynos started anew."""

    store: Store
    releases: Releases
    logs: AppLogs
    background: Background
    failpoints: Failpoints
    shut_out: Callable[[str], Coroutine[Any, Any, None]]
    start: Callable[[App], Coroutine[Any, Any, None]] = nothing

    async def converge_all(self, addon_id: str, actor: Actor) -> None:
        """A release of each app whose config vars the add-on changes. One app's trouble is not another's."""
        for app_id in dict.fromkeys(one.app_id for one in await self.store.attachments(addon_id=addon_id)):
            try:
                app = await self.store.app(app_id)
            except NotFound:
                continue
            await attempt(f"release the add-ons of {app.name}", self.converge(app, actor))

    async def converge(self, app: App, actor: Actor) -> UnderWay:
        """ONE release, where its add-ons are not those of its newest; it is recorded when this returns.

        A release phase runs only where something was attached: an app must not be able to keep a dead password.
        Raises ReleaseInProgress.
        """

        async def draft() -> NewRelease | None:
            now, before = await self.store.attached_now(app.id), await self.store.newest_attachments(app.id)
            description = describe_attachments(before, now, await self.store.newest_config(app.id))
            if description is None:
                return None
            own, served = await self.store.own_config(app.id), await self.store.current_release(app.id)
            new = NewRelease(app.id, description, actor, own, {}, status=Status.SUCCEEDED)
            if served is None or served.artifact is None:
                return new
            new = await self.releases.with_code_of(app, served, new)
            return new if "Attach " in description else replace(new, has_output=False)

        under_way = await self.releases.begin(app, draft)
        await self.failpoints.reach("addon-released")
        if under_way.task is not None:
            self.background.spawn(f"follow v{under_way.release.version}", self._follow(app, actor, under_way))
        elif under_way.release.status is not Status.PENDING:
            await attempt(f"shut out {app.name}", self.shut_out(app.id))
        return under_way

    async def _follow(self, app: App, actor: Actor, under_way: UnderWay) -> None:
        assert under_way.task is not None
        await asyncio.wait([under_way.task])
        version, description = under_way.release.version, under_way.release.description
        if under_way.task.cancelled() or under_way.task.exception() is not None:
            self.logs.note(
                app.id,
                "api",
                f"{description}: release v{version} failed, so the config is as it was; the next release that succeeds "
                "has it",
                source=SOURCE,
            )
            if not under_way.task.cancelled():
                await attempt(f"renew what {app.name} is served with", self._renew(app, actor))
            return
        await attempt(f"shut out {app.name}", self.shut_out(app.id))

    async def _renew(self, app: App, actor: Actor) -> None:
        """What is served gets the new passwords though the release that had them failed: the old ones are refused.

        As on Heroku its dynos then start anew, whether they get well or not.
        """

        drafted: NewRelease | None = None

        async def draft() -> NewRelease | None:
            nonlocal drafted
            served = await self.store.current_release(app.id)
            if served is None or served.artifact is None:
                return None
            new = renewal(served, await self.store.attached_now(app.id), actor)
            drafted = replace(new, formation=await self.releases.formation(app, served)) if new is not None else None
            return drafted

        done = (await self.releases.begin_as_drafted(app, draft)).release
        if drafted is not None:
            words = f"{done.description}: the old password is refused, so the dynos start anew with v{done.version}"
            self.logs.note(app.id, "api", words, source=SOURCE)
            await attempt(f"start {app.name} anew", self.start(app))

    async def settle(self, app_id: str) -> None:
        """What a daemon left in the middle: the release that is missing, or the end of the ways in."""
        try:
            app = await self.store.app(app_id)
        except NotFound:
            await self.shut_out(app_id)
            return
        if self.background.lock(app_id).locked():
            return  # a release is under way: the next round
        actor = Actor(app.owner_id, app.owner_email, "", "")
        if not await self._tried(app):
            await self.converge(app, actor)
        else:
            await self._renew(app, actor)
            await self.shut_out(app_id)

    async def _tried(self, app: App) -> bool:
        """Whether the newest release has the add-ons of now and failed by the app's own fault: it is not repeated."""
        newest: Sequence[Release] = await self.store.releases(app.id, newest_first=True, limit=1)
        if not newest or newest[0].status is not Status.FAILED:
            return False
        now = await self.store.attached_now(app.id)
        same = tuple(newest[0].attachments) == now.attachments
        if not same or any(newest[0].config.get(name) != value for name, value in now.config.items()):
            return False
        stages = await self.store.stages(newest[0].id)
        failure = next((one.detail for one in stages if one.stage is Stage.FAILED), "")
        return not failure.startswith(INTERRUPTED)


def renewal(served: Release, now: AttachedNow, actor: Actor) -> NewRelease | None:
    """What is served, and nothing else, with the passwords of now. None where it has these."""
    held = {(one.attachment, one.addon_id) for one in now.attachments}
    dead = [
        one
        for one in served.attachments
        if (one.attachment, one.addon_id) in held
        and any(served.config.get(name) != now.config[name] for name in one.variables if name in now.config)
    ]
    if not dead:
        return None
    fresh = {name: now.config[name] for one in dead for name in one.variables if name in now.config}
    return NewRelease(
        served.app_id,
        ", ".join(f"Update {one.attachment} by {one.plan.partition(':')[0]}" for one in dead),
        actor,
        {**served.config, **fresh},
        served.formation,
        processes=served.processes,
        build_id=served.build_id,
        artifact=served.artifact,
        commit=served.commit,
        status=Status.SUCCEEDED,
        attachments=served.attachments,
    )
