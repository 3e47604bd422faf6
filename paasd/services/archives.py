"""Builds of archives, sent here or fetched from a URL: received like a push, then the same build and deploy."""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from paasd.domain.errors import BuildFailed, InvalidParams, PaasError
from paasd.domain.push import Archive
from paasd.domain.release import Build, BuildStatus, Commit
from paasd.ports import OutputFile, Outputs, Sources, Uploads, Web, Write
from paasd.services.background import Background
from paasd.services.builds import Builds
from paasd.services.disk import Disk
from paasd.services.places import Holder

log = structlog.get_logger(__name__)

KEPT_SECONDS = 3600.0  # what was put, and not built since
FETCH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Archives:
    """Use cases on archives. `max_bytes` is the most that is fetched from a URL."""

    sources: Sources
    uploads: Uploads
    web: Web
    outputs: Outputs
    builds: Builds
    background: Background
    disk: Disk
    max_bytes: int

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep an archive for a while; how many bytes. BuildFailed for one that may not be built, InvalidParams."""
        await self.disk.admit_build()
        await self.sweep()
        return await self.uploads.put(key, chunks)

    async def sweep(self) -> None:
        """Remove what nobody has built for an hour."""
        await self.uploads.sweep(KEPT_SECONDS)

    async def begin(self, archive: Archive) -> Build:
        """Begin to build it, to release it then. The build's output tells all of it, and ends when it is served.

        Raises InvalidParams for a source that can't be had, Conflict while another deploys to the app.
        """
        if archive.url is not None:
            await self.web.check(archive.url)
        elif archive.upload is None or not await self.uploads.has(archive.upload):
            raise InvalidParams(
                "No archive was put there, or it was refused, or it was too long ago; ask for a place with "
                "POST /sources, and PUT a tar.gz there first.",
                resource="source",
            )
        self.builds.places.admit(archive.app, queue=archive.queue)
        await self.disk.admit_build()
        return await self.background.finish(f"begin a build of {archive.app.name}", self._begin(archive))

    async def _begin(self, archive: Archive) -> Build:
        now, app = datetime.now(UTC), archive.app
        version = archive.version
        commit = Commit(version, archive.actor.email, archive.description, pushed=False) if version else None
        build = Build(str(uuid.uuid4()), app.id, BuildStatus.PENDING, archive.actor, commit, now, now)
        kept = await self.outputs.open(app.id, ("builds", build.id))
        await self.builds.insert(build)
        self.background.spawn(f"build {build.id} of {app.name}", self._carry_out(archive, build, kept))
        return build

    async def _carry_out(self, archive: Archive, build: Build, kept: OutputFile) -> None:
        holder = Holder(archive.actor)
        try:
            await self._deploy(archive, build, holder, kept)
        except PaasError as error:
            await kept.write(f"\n !     {error.message}\n !\n".encode())
        except asyncio.CancelledError:
            await kept.write(b"\n !     Cancelled: the daemon was stopped; deploy again.\n !\n")
            raise
        except Exception as error:
            await kept.write(f"\n !     Internal error ({type(error).__name__}); see the daemon's log.\n !\n".encode())
            raise
        finally:
            self.builds.live.discard(build.id)
            holder.ended.set()
            await kept.close()
        self.disk.collect_soon()

    async def _deploy(self, archive: Archive, build: Build, holder: Holder, kept: OutputFile) -> None:
        app, places, begun = archive.app, self.builds.places, False

        async def commit() -> str:
            nonlocal begun
            begun = True
            return await self._receive(archive, build, kept.write)

        try:
            with contextlib.ExitStack() as cancellable:
                cancellable.enter_context(places.building(build.id, holder))
                async with places.hold(app, holder, kept.write, queue=True):
                    built = await self.builds.build(app, build, holder, commit, kept.write)
                    self.builds.live.discard(build.id)
                    cancellable.close()
                    holder.stage = "releasing"
                    await self.builds.release(app, built, kept.write)
        except BaseException as error:
            if not begun:  # it was not its turn yet
                await self.builds.fail(build, error, holder)
            raise

    async def _receive(self, archive: Archive, build: Build, output: Write) -> str:
        """The commit that the archive makes in the app's repository."""
        async with self._file(archive, output) as path:
            if archive.sha256 is not None and await asyncio.to_thread(_sha256, path) != archive.sha256:
                raise BuildFailed("The archive is not the one that its checksum is of; send it again.")
            await output(f"-----> Source received, {path.stat().st_size / 1e6:.1f} MB\n".encode())
            return await self.sources.adopt_archive(archive.app.id, path, build.id)

    @contextlib.asynccontextmanager
    async def _file(self, archive: Archive, output: Write) -> AsyncIterator[Path]:
        if archive.url is None:
            async with self.uploads.held(archive.upload or "") as path:
                yield path
            return
        async with self.uploads.fresh() as path:
            await output(f"-----> Fetching the source from {urlsplit(archive.url).hostname}\n".encode())
            status = await self.web.download(archive.url, path, max_bytes=self.max_bytes, seconds=FETCH_SECONDS)
            if status != 200:
                raise BuildFailed(f"The source's URL answered with HTTP {status}; see that it can be downloaded.")
            yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
