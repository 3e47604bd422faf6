"""The images that add-ons' containers run: made, where they are missing, as paasd's other images are."""

import asyncio
from pathlib import Path

import structlog

from paasd.adapters.docker_addon_server import SERVERS
from paasd.adapters.docker_api import DockerApi, Refused
from paasd.domain.addon import Kind
from paasd.domain.errors import ProviderFailed

log = structlog.get_logger(__name__)

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "setup" / "base-images"
SECONDS = 600.0


class AddonImages:
    """`search_path` is where the script finds its programs, `host` the engine's URL where it is not Docker's own."""

    def __init__(self, api: DockerApi, search_path: str, host: str | None) -> None:
        self._api = api
        self._environment = {"PATH": search_path, **({"DOCKER_HOST": host} if host else {})}
        self._making = asyncio.Lock()

    async def has(self, kind: Kind) -> bool:
        """Asks the engine."""
        try:
            await self._api.get(f"/images/{SERVERS[kind].image}/json")
        except Refused as error:
            if error.status != 404:
                raise
            return False
        return True

    def can_make(self) -> bool:
        """Whether what makes them is here."""
        return SCRIPT.exists()

    async def ensure(self, kind: Kind) -> None:
        """It is there when this returns. ProviderFailed with its last words when it can't be made."""
        async with self._making:
            if await self.has(kind):
                return
            log.info("making an add-on's image, which takes about a minute", image=SERVERS[kind].image)
            await self._make(kind)

    async def _make(self, kind: Kind) -> None:
        remedy = f"run `paasd stack build {kind.value}` and try again"
        if not self.can_make():
            raise ProviderFailed(f"The image {SERVERS[kind].image} is not here; {remedy}.")
        process = await asyncio.create_subprocess_exec(
            *(str(SCRIPT), kind.value),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(SECONDS):
                said, _ = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            words = said.decode(errors="replace").strip().rpartition("\n")[2][:300]
            raise ProviderFailed(f"The image {SERVERS[kind].image} could not be made ({words}); {remedy}.")
