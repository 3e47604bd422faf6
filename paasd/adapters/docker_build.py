"""Builds an image through the engine's own API: BuildKit where it has it, else the classic builder.

Cancelling closes the request, on which the engine stops the build.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from paasd.adapters.docker_adds import refuse_fetched, refuse_fetches
from paasd.adapters.docker_api import DockerApi, Refused
from paasd.adapters.docker_bases import named_images, refuse_others
from paasd.adapters.docker_build_log import BuildKitLog, ClassicLog, explain
from paasd.adapters.docker_caches import NAMESPACE, apart, namespace
from paasd.adapters.docker_containers import APP, BUILD, CREATED, HOME
from paasd.adapters.docker_context import DOCKERFILE, pack, without_syntax
from paasd.adapters.docker_streams import json_lines
from paasd.domain.errors import BuildFailed, NotFound
from paasd.ports import Artifact, BuildSpec, Write

PIECE = 256 * 1024
REMOVED_MEANWHILE = re.compile(r"failed to get digest sha256:[0-9a-f]{64}: open \S+: no such file")
"""The classic builder's: what it took from its cache went with another image. It builds that step at the next try."""


class Builder:
    """Makes artifacts out of sources."""

    def __init__(self, api: DockerApi, home: str, memory: int, secret: bytes) -> None:
        """`memory` in bytes; `secret` keeps our caches from apps' Dockerfiles."""
        self._api = api
        self._secret = secret
        self._home = home
        self._memory = memory

    async def build(self, source: Path, recipe: BuildSpec, output: Write, *, buildkit: bool) -> Artifact:
        """Raises BuildFailed with the failing step's words, or when it took longer than the recipe allows."""
        created_at = datetime.now(UTC)
        try:
            async with asyncio.timeout(recipe.timeout):
                image = await self._build(source, recipe, output, buildkit, created_at)
        except TimeoutError as error:
            raise BuildFailed(
                f"The build took longer than {recipe.timeout:g} seconds and was stopped; "
                "make it do less, or allow it more time."
            ) from error
        found = await self._api.call("inspect_image", image)
        return Artifact(str(found["Id"]), recipe.app_id, recipe.build_id, int(found["Size"]), created_at)

    async def adopt(self, image: str, recipe: BuildSpec, output: Write, *, buildkit: bool) -> Artifact:
        """Built upon the image, so that it has our labels and is kept and removed as what we built. NotFound."""
        absent = NotFound(
            f"There is no image {image[:200]!a} on this machine's engine; build or pull it there first, or see "
            "`docker images`.",
            resource="docker_image",
        )
        try:
            found = await self._api.call("inspect_image", image)
        except Refused as error:
            if error.status >= 500:
                raise
            raise absent from error
        labels = (found.get("Config") or {}).get("Labels") or {}
        if APP in labels and labels[APP] != recipe.app_id:
            raise absent  # another app's source is in it
        # Named by us until it is built upon: what was looked at is what is taken.
        name = f"{recipe.name}-from"
        repository, _, tag = name.rpartition(":")
        await self._api.call("tag", found["Id"], repository, tag)
        try:
            with tempfile.TemporaryDirectory(prefix="paasd-image-") as empty:
                like = replace(recipe, dockerfile=f"FROM {name}\n", dockerfile_classic=None)
                return await self.build(Path(empty), like, output, buildkit=buildkit)
        finally:
            await self._api.call("remove_image", name, noprune=True)

    async def _build(self, source: Path, recipe: BuildSpec, output: Write, buildkit: bool, at: datetime) -> str:
        dockerfile = without_syntax(recipe.dockerfile if buildkit else recipe.dockerfile_classic or recipe.dockerfile)
        if not recipe.ours:
            triggers = await refuse_others(self._api, named_images(dockerfile), recipe.app_id)
            await refuse_others(self._api, named_images(triggers), recipe.app_id)
            if not recipe.trusted:
                refuse_fetches(dockerfile)
                refuse_fetches(triggers)
        params = {
            "dockerfile": DOCKERFILE,
            "t": recipe.name,
            "labels": json.dumps(
                {HOME: self._home, APP: recipe.app_id, BUILD: recipe.build_id, CREATED: at.isoformat()}
            ),
            "networkmode": "default",  # never the host's
            "rm": "1",
            "forcerm": "1",
        }
        if buildkit:
            params["version"] = "2"  # which knows no memory limit
            whose = None if recipe.ours else recipe.app_id
            params["buildargs"] = json.dumps({NAMESPACE: namespace(self._secret, whose)})
        else:
            params |= {"memory": str(self._memory), "memswap": str(self._memory)}  # equal: no swap
        log = BuildKitLog(output) if buildkit else ClassicLog(output)
        if recipe.secrets and not buildkit:
            raise BuildFailed(
                "This engine has no BuildKit, by which alone config vars reach a build: take `build` out."
            )
        async with AsyncExitStack() as stack:
            packed = stack.enter_context(await asyncio.to_thread(pack, source, dockerfile))
            if recipe.secrets:
                from paasd.adapters.docker_session import secrets_session  # few builds need it, and HTTP/2

                if not recipe.ours:  # whose steps name their app
                    params["extrahosts"] = apart(self._secret, recipe.app_id)

                params["session"] = await stack.enter_async_context(secrets_session(self._api, recipe.secrets))
            image, failure = await self._run(params, packed, log, recipe)
            if failure is not None and REMOVED_MEANWHILE.search(failure):
                packed.seek(0)
                image, failure = await self._run(params, packed, log, recipe)
        await log.finish()
        if image is None:
            raise explain(failure or "the engine ended the build without a word", log.failed_step, dockerfile)
        return image

    async def _run(
        self, params: dict[str, str], packed: IO[bytes], log: BuildKitLog | ClassicLog, recipe: BuildSpec
    ) -> tuple[str | None, str | None]:
        """(image id, None) of a build that succeeded, (None, the engine's words) of one that did not."""
        try:
            return await self._follow(params, packed, log, recipe)
        except Refused as error:
            if error.status >= 500:
                raise
            return None, error.words

    async def _follow(
        self, params: dict[str, str], packed: IO[bytes], log: BuildKitLog | ClassicLog, recipe: BuildSpec
    ) -> tuple[str | None, str | None]:
        """As `_run`. What the engine looks up is looked at: it may read a Dockerfile otherwise than we do, and a base
        may bring instructions of its own."""
        image: str | None = None
        asked: set[str] = set()
        body, timeout = _pieces(packed), recipe.timeout
        async with self._api.stream("POST", "/build", params=params, data=body, timeout=timeout) as response:
            async for message in json_lines(self._api.chunks(response)):
                detail, aux = message.get("errorDetail"), message.get("aux")
                if detail is not None or "error" in message:
                    words = detail.get("message") if isinstance(detail, dict) else message.get("error")
                    return None, str(words)
                if isinstance(aux, dict) and "ID" in aux:
                    image = str(aux["ID"])
                await log.show(message)
                if not recipe.ours and not recipe.trusted:
                    refuse_fetched(log.fetched)
                if not recipe.ours and not log.images <= asked:
                    await refuse_others(self._api, log.images - asked, recipe.app_id)
                    asked |= log.images
        return image, None


async def _pieces(packed: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(packed.read, PIECE):
        yield piece
