"""Images that the engine has already: a build that only takes one over, then the same deploy."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams
from paasd.domain.release import Build, BuildStatus, Commit, ProcessTypes, Release
from paasd.ports import BuildSpec, Engine, Outputs, Store, Write
from paasd.services.builds import Builds
from paasd.services.disk import Disk
from paasd.services.places import Holder
from paasd.services.releases import Releases

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
TYPE = re.compile(r"[A-Za-z0-9_-]{1,63}")
TIMEOUT = 300.0
STACK = "container"


@dataclass(frozen=True, slots=True)
class Images:
    """Use cases on images."""

    store: Store
    engine: Engine
    outputs: Outputs
    builds: Builds
    releases: Releases
    disk: Disk

    async def deploy(self, actor: Actor, app: App, image: str, commands: Mapping[str, str | None]) -> Release:
        """Release an image with these process types (None: the image's own command); acknowledged means recorded.

        `release` among them is the release command. Raises NotFound, InvalidParams, Conflict while another deploys.
        """
        processes = check_image(image, commands)
        holder, now = Holder(actor), datetime.now(UTC)
        self.builds.places.admit(app, queue=False)
        await self.disk.admit_build()
        commit = Commit(image, actor.email, "", pushed=False)
        build = Build(str(uuid.uuid4()), app.id, BuildStatus.PENDING, actor, commit, now, now)
        kept = await self.outputs.open(app.id, ("builds", build.id))
        try:
            async with self.builds.places.hold(app, holder, kept.write, queue=False):
                await self.builds.insert(build)
                with self.builds.places.building(build.id, holder):
                    built = await self._adopt(app, build, holder, image, processes, kept.write)
                under_way = await self.releases.begin(
                    app, lambda: self.releases.draft_of_build(actor, app, built), output=kept.write
                )
        finally:
            self.builds.live.discard(build.id)
            await kept.close()
        self.disk.collect_soon()
        return under_way.release

    async def _adopt(
        self, app: App, build: Build, holder: Holder, image: str, processes: ProcessTypes, output: Write
    ) -> Build:
        recipe = BuildSpec(app.id, build.id, f"paasd/{app.name}:b-{build.id[:8]}", "", timeout=TIMEOUT)
        holder.stage = "building"
        try:
            await output(f"-----> Taking over the image {image}\n".encode())
            artifact = await self.engine.adopt_image(image, recipe, output)
        except BaseException as error:
            await self.builds.fail(build, error, holder)
            raise
        return await self.store.finish_build(
            build.id,
            BuildStatus.SUCCEEDED,
            builder="image",
            stack=STACK,
            artifact=artifact.name,
            processes=processes,
            size=artifact.size,
        )


def check_image(image: str, commands: Mapping[str, str | None]) -> ProcessTypes:
    """The process types that the image is to run. Raises InvalidParams."""
    if IMAGE.fullmatch(image) is None:
        raise InvalidParams("docker_image must be the name or id of an image, such as nginx:1.27; see `docker images`.")
    for kind, command in commands.items():
        if TYPE.fullmatch(kind) is None or "\0" in (command or ""):
            raise InvalidParams(f"{kind[:64]!a} can't be a process type; letters, digits, - and _ make one.")
    types = {kind: command for kind, command in commands.items() if kind != "release"}
    if not types:
        raise InvalidParams("Name a process type that the image is to run, such as web.")
    if "release" in commands and not commands["release"]:
        raise InvalidParams("The release command is missing; give it as `command`, or leave the type release out.")
    return ProcessTypes(types, commands.get("release"))
