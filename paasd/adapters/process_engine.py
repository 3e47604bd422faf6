"""The engine on plain processes: dynos are process trees under a supervisor each, artifacts are folders of the home.

All that it knows lies in the home's files, where a later daemon finds it: a supervisor outlives the daemon that
started it, and is taken over as it is. Dynos share this machine's network: each web dyno is given a port of its own.
"""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from paasd.adapters.process_addon_server import users_of
from paasd.adapters.process_build import SERVER, Builder, find_uv
from paasd.adapters.process_dynos import DynoFolder, folders, free_port, listening, new_folder, told_ports
from paasd.adapters.process_exec import execute
from paasd.adapters.process_firewall import UserFirewall
from paasd.adapters.process_launch import Child, Launcher
from paasd.adapters.process_logs import read_log
from paasd.adapters.process_machine import stacks
from paasd.adapters.process_roster import Roster
from paasd.adapters.process_run import Runner, environment
from paasd.adapters.process_sandbox import Isolation, View, examine
from paasd.adapters.process_shells import Ends, ProcessShell, talking
from paasd.adapters.process_shells import listening as listened
from paasd.adapters.process_slugs import MACHINE, Slug, Slugs, now
from paasd.adapters.process_tools import Tools
from paasd.adapters.process_tree import below, processes
from paasd.domain.dyno import Dyno, DynoSpec, DynoState, Exit
from paasd.domain.errors import DynoUnhealthy, EngineUnavailable, NotFound
from paasd.domain.slug import STATIC_SERVER
from paasd.domain.stack import Stacks
from paasd.failpoints import Failpoints
from paasd.ports import Artifact, BuildSpec, Change, EngineInfo, Shell, Size, Tally, Terminal, Write

VERSION = "1"
FOLDER = "process"  # within the home


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """`build_memory` in bytes, of each command of a build; `bwrap`: whether to use bubblewrap where it works; `api`:
    the port of the API, None for none."""

    search_path: str = os.defpath
    build_memory: int = 2048 * 1024 * 1024
    bwrap: bool = True
    api: int | None = None


class ProcessEngine:
    """Engine on this machine's processes. `home` names this daemon's home, `place` is its folder."""

    def __init__(
        self, home: str, place: Path, settings: ProcessSettings | None = None, failpoints: Failpoints | None = None
    ) -> None:
        self._settings = settings or ProcessSettings()
        self._failpoints = failpoints or Failpoints()
        self._place = place
        self._root = place / FOLDER
        self._home = home
        self._roster = Roster(self._root)
        self._stacks: Stacks | None = None  # asked once
        self._isolation = Isolation(None, False, None)
        self._slugs = Slugs(self._root, home, users=os.geteuid() == 0)
        self._tools = Tools(self._root, self._slugs.installer)
        self._runner = Runner(self._isolation, home, place)
        self._firewall = UserFirewall(home, (self._slugs.users, users_of(home)), self._settings.api, self._ports)
        self._builder: Builder | None = None
        self._launcher = Launcher()

    async def __aenter__(self) -> "ProcessEngine":
        self._launcher.begin()
        self._isolation = await asyncio.to_thread(examine, self._settings.search_path, bwrap=self._settings.bwrap)
        self._runner = Runner(self._isolation, self._home, self._place)
        self._slugs.prepare()
        self._tools.prepare()
        if self._isolation.root and self._isolation.bwrap is None:
            self._place.chmod(0o711)  # apps' users must pass to their own files; all else in it is ours alone
        for name in ("dynos", "builds"):
            new_folder(self._root / name)
        uv = await asyncio.to_thread(find_uv, self._settings.search_path, self._root / "tools")
        self._builder = Builder(
            self._root, self._slugs, self._tools, lambda: self._runner, self._launcher, uv, self._settings.build_memory
        )
        self._roster.adopt()
        await asyncio.to_thread(self._roster.clear)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._roster.close()
        await self._launcher.end()

    async def info(self) -> EngineInfo:
        """Looks again at what this machine has."""
        found = await asyncio.to_thread(examine, self._settings.search_path, bwrap=self._settings.bwrap)
        return EngineInfo(
            name="process",
            version=VERSION,
            api_version=found.describe(),
            buildkit=False,
            addresses_reachable=True,
            problems=(*found.problems(), *filter(None, (blocked(found, self._place), await self._firewall.problem()))),
            data_root=str(self._root),
        )

    async def stacks(self) -> Stacks:
        """What this machine has; looked at once."""
        if self._stacks is None:
            self._stacks = await asyncio.to_thread(stacks)
        return self._stacks

    async def guard(self) -> None:
        """Close the ways to the API and to link-local addresses, for apps that have users of their own."""
        await self._firewall.close()

    async def unguard(self) -> None:
        """Without what `guard` did, as before the first start."""
        await self._firewall.open()

    # --- artifacts --------------------------------------------------------------------------------------------------

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        """Build `source` by the recipe's commands. Raises BuildFailed; cancelling stops the build."""
        assert self._builder is not None
        self._check_passage()
        return await self._builder.build(source, recipe, output)

    async def adopt_image(self, image: str, recipe: BuildSpec, output: Write) -> Artifact:
        """A slug like another of the same app, or of the machine itself. NotFound when there is none."""
        slug = self._empty(recipe.app_id) if image == MACHINE else self._slugs.find(image)
        if slug is None or slug.app_id != recipe.app_id:
            raise NotFound(
                f"There is no image {image[:200]!a} here: this paasd runs dynos as plain processes, and has no images "
                "but its own slugs; use one that was started with --engine docker.",
                resource="docker_image",
            )
        await output(f"-----> Like {image[:200]}\n".encode())
        self._slugs.folder(recipe.app_id)
        assert self._builder is not None
        return self._builder.keep(replace(slug, build_id=recipe.build_id, created_at=now()), recipe.name)

    async def artifacts(self) -> Sequence[Artifact]:
        """All artifacts that this home's builds made."""
        return [slug.artifact() for slug in self._slugs.all()]

    async def delete_artifact(self, artifact: str) -> None:
        """Absent: fine. Still used by a dyno: it stays, no error."""
        assert self._builder is not None
        if any((folder.made() or {}).get("artifact") == artifact for folder in folders(self._root / "dynos")):
            return
        await self._builder.delete(artifact)

    async def cache_sizes(self) -> Mapping[str, int]:
        """Bytes that builds keep for the next, by app id."""
        return await asyncio.to_thread(self._slugs.cache_sizes)

    async def purge_cache(self, app_id: str) -> int:
        """Remove an app's: the bytes that went."""
        return await self._builder.purge_cache(app_id) if self._builder is not None else 0

    async def tag(self, artifact: str, name: str) -> None:
        """Another name for an artifact. Absent: NotFound."""
        self._slugs.tag(artifact, name)

    # --- dynos ------------------------------------------------------------------------------------------------------

    async def start(self, spec: DynoSpec) -> Dyno:
        """Start a dyno. Already running: returned as it is. DynoUnhealthy if it can't start."""
        folder = self._folder(spec.id)
        if spec.id in self._roster.running:
            return self._read(spec.id)
        self.create(spec)
        await self._failpoints.reach("container-create")
        await self._launch(folder, spec, (), None)
        return self._read(spec.id)

    def create(self, spec: DynoSpec) -> None:
        """A dyno's folder, anew if one of this id has ended."""
        folder = self._folder(spec.id)
        made = folder.read()
        if made is not None and made.state is DynoState.STARTING:
            return
        folder.remove()
        if spec.command is None:
            raise DynoUnhealthy(f"{spec.name} can't start: its process type has no command; add one to the Procfile.")
        slug = self._slug(spec)
        self._check_passage()
        port = free_port(told_ports(self._root / "dynos")) if spec.port is not None else None
        self._slugs.connect(spec.app_id)
        cgroups = [each["path"] for each in self._runner.cgroups(spec.id, spec.limits)]
        folder.make(
            *(spec, port, cgroups, self._slugs.user(spec.app_id)),
            sandboxed=self._isolation.bwrap is not None,
            readable=self._tools.readable(slug, self._layer(slug, slug.deps)),
        )

    async def stop(self, dyno_id: str, *, grace: float = 30.0) -> Exit | None:
        """SIGTERM, `grace` seconds, SIGKILL, then remove; how it ended. Absent: None."""
        child = self._roster.running.get(dyno_id)
        if child is not None:
            child.send(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await child.ended.wait()
            if not child.ended.is_set():
                child.kill()
                await child.ended.wait()
        how = self._folder(dyno_id).exit()
        await self._kill(dyno_id)
        return None if how is None else replace(how, at=None)

    async def wait(self, dyno_id: str) -> Exit:
        """Until it ends. NotFound when there is no such dyno."""
        child = self._roster.running.get(dyno_id)
        if child is not None:
            await child.ended.wait()
            found = self._roster.ends.get(dyno_id)  # it may have been removed since
        else:
            found = self._folder(dyno_id).exit()
        if found is None:
            raise absent(dyno_id)
        return replace(found, at=None)

    async def dynos(self, app_id: str | None = None) -> Sequence[Dyno]:
        """All dynos of this home (of one app), running or ended, not yet removed."""
        found = (folder.read() for folder in folders(self._root / "dynos"))
        return [dyno for dyno in found if dyno is not None and app_id in (None, dyno.app_id)]

    async def attach(self, spec: DynoSpec) -> Terminal:
        """Create a dyno whose output comes here, and start it."""
        return await self._attached(spec, listened(), tty=False)

    async def converse(self, spec: DynoSpec, *, size: Size | None) -> Shell:
        """Create a dyno that is talked to, and start it."""
        return await self._attached(spec, talking(size), tty=size is not None)

    async def exec(self, dyno_id: str, command: str, env: Mapping[str, str], *, size: Size | None) -> Shell:
        """A shell command beside a running dyno's own. Closing hangs up, the dyno goes on."""
        folder = self._folder(dyno_id)
        made = folder.made()
        if dyno_id not in self._roster.running or made is None:
            raise absent(dyno_id)
        place = self._root / "builds" / f"exec-{uuid.uuid4()}"
        user = self._slugs.user(made["app_id"])
        return await execute(
            folder, place, command, env, size=size, runner=self._runner, launcher=self._launcher, user=user
        )

    async def listeners(self, dyno_id: str) -> Sequence[tuple[str, int]]:
        """(address, port) of each TCP socket that a running dyno listens on."""
        child = self._roster.running.get(dyno_id)
        if child is None:
            return []
        return await asyncio.to_thread(lambda: listening(below(child.pid, processes())))

    async def logs(self, dyno_id: str, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """(time, text) of each line after `since` (None: of the last ones), then live. NotFound when it is absent."""
        folder = self._folder(dyno_id)
        if folder.made() is None:
            raise absent(dyno_id)
        async for line in read_log(folder.path, since):
            yield line

    def tally(self, dyno_id: str) -> Tally | None:  # noqa: ARG002
        """Not counted."""
        return None

    def changes(self) -> AsyncIterator[Change]:
        """Each dyno that started, ended or vanished since this call."""
        return self._roster.changes()

    async def create_network(self, app_id: str) -> None:
        """Dynos share this machine's: this only notes that the app is here, and gives it a user."""
        self._slugs.connect(app_id)
        self._slugs.user(app_id)

    async def networks(self) -> Sequence[str]:
        """The app ids of all that were noted and are still there."""
        return self._slugs.connected()

    async def remove_network(self, app_id: str) -> None:
        """Absent: fine."""
        await asyncio.to_thread(self._slugs.disconnect, app_id)

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _launch(self, folder: DynoFolder, spec: DynoSpec, stdio: Sequence[int], tty: bool | None) -> Child:
        """Its supervisor, known here from its first moment."""
        slug = self._slug(spec)
        made = folder.made() or {}
        deps, app = self._layer(slug, slug.deps), self._layer(slug, slug.app)
        env = {**environment(deps, slug.path, slug.env, folder.app, self._tools.of(slug)), **spec.env}
        if made.get("port") is not None:
            env["PORT"] = str(made["port"])
            await self._firewall.keep_ports()
        command = spec.command or ""
        if slug.static:
            command = command.replace(STATIC_SERVER, f"{deps}/{SERVER.name}")
        wanted = self._runner.launch(
            folder.path,
            command,
            env=env,
            cwd=folder.app,
            view=View([folder.app], self._tools.readable(slug, deps), folder.tmp),
            user=self._slugs.user(spec.app_id),
            limits=spec.limits,
            stdio="log" if tty is None else "given",
            tty=bool(tty),
            copy=(app, folder.app) if app else None,
        )
        child, _ = await self._launcher.launch(wanted, stdio)
        self._roster.keep(folder, child, spec.app_id)
        self._roster.tell(spec.app_id, spec.name)
        return child

    async def _attached(self, spec: DynoSpec, ends: Ends, *, tty: bool) -> ProcessShell:
        folder = self._folder(spec.id)
        try:
            self.create(spec)
            try:
                await self._launch(folder, spec, ends.theirs, tty)
            finally:
                ends.close_theirs()
        except BaseException:
            ends.close()
            folder.remove()
            raise
        return ProcessShell(ends, lambda: self.wait(spec.id), lambda: self._kill(spec.id))

    def _check_passage(self) -> None:
        if (why := blocked(self._isolation, self._place)) is not None:
            raise EngineUnavailable(why)

    async def _kill(self, dyno_id: str) -> None:
        """All of it, and its folder: that also when nobody waits for it any more."""
        child = self._roster.running.get(dyno_id)
        try:
            if child is not None:
                child.kill()
                await child.ended.wait()
            await self._failpoints.reach("retire")
        finally:
            await self._remove(dyno_id)

    async def _remove(self, dyno_id: str) -> None:
        folder = self._folder(dyno_id)
        made = folder.made()
        await asyncio.shield(asyncio.to_thread(folder.remove))
        if made is not None:
            self._roster.tell(made["app_id"], made["name"])

    def _slug(self, spec: DynoSpec) -> Slug:
        slug = self._empty(spec.app_id) if spec.artifact == MACHINE else self._slugs.find(spec.artifact)
        if slug is None:
            raise DynoUnhealthy(
                f"{spec.name} can't start: the slug of v{spec.release_version} is gone; push its commit again."
            )
        return slug

    def _empty(self, app_id: str) -> Slug:
        return Slug(app_id, "", now(), 1, None, None)

    def _layer(self, slug: Slug, key: str | None) -> Path | None:
        return None if key is None else self._slugs.layer(slug.app_id, key)

    def _folder(self, dyno_id: str) -> DynoFolder:
        return DynoFolder(self._root / "dynos" / dyno_id)

    def _read(self, dyno_id: str) -> Dyno:
        found = self._folder(dyno_id).read()
        if found is None:
            raise absent(dyno_id)
        return found

    def _ports(self) -> dict[int, int]:
        told = told_ports(self._root / "dynos").items()
        return {port: user[0] for port, app_id in told if (user := self._slugs.user(app_id)) is not None}


def blocked(isolation: Isolation, place: Path) -> str | None:
    """Why apps' users can't come to their own files: where there is no bubblewrap to put them elsewhere."""
    if not isolation.root or isolation.bwrap is not None:
        return None
    for folder in place.parents:
        if folder.exists() and not folder.stat().st_mode & 0o001:
            return (
                f"Apps' users can't pass through {folder} to their files in {place}; install bubblewrap "
                "(`apt-get install bubblewrap`), or choose another --home, such as /var/lib/paasd."
            )
    return None


def absent(dyno_id: str) -> NotFound:
    """There is none of that id."""
    return NotFound(f"There is no dyno {dyno_id}; it has ended and was removed.", resource="dyno")
