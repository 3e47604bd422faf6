"""From a source to a slug: a copy of it in which our commands run, as the app's own user, in its own sandbox.

Dependencies are a layer of their own, named after what they are made of: a changed line of code installs nothing.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import paasd
from paasd.adapters.process_dynos import DynoFolder, new_folder
from paasd.adapters.process_launch import Launcher
from paasd.adapters.process_machine import not_installed, python
from paasd.adapters.process_run import Runner, environment
from paasd.adapters.process_sandbox import View
from paasd.adapters.process_shells import ProcessShell, listening
from paasd.adapters.process_slugs import Slug, Slugs, Used, give, now, tree_key, tree_size
from paasd.adapters.process_tools import Tools, key_of
from paasd.adapters.process_tree import copy_tree
from paasd.adapters.trees import remove_tree
from paasd.domain.dyno import Exit, Limits
from paasd.domain.errors import BuildFailed, EngineUnavailable
from paasd.domain.slug import SlugRecipe, SlugTool
from paasd.domain.stack import SHARED
from paasd.ports import Artifact, BuildSpec, Write

BUILD_PIDS = 1024
UV = {"UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1", "UV_SYSTEM_CERTS": "1"}
NEEDS_DOCKER = (
    "This app needs the Docker engine: it builds by a Dockerfile, or by buildpacks or tools that only images have, "
    "and this paasd runs dynos as plain processes. Push to one that was started with --engine docker, or, if the app "
    "builds by its requirements.txt or package.json as well, remove the Dockerfile."
)
NOT_INSTALLED = (
    " !     The Aptfile asks for {names}, which this machine has not: apps run on its own system here, and no build "
    "installs there. Its operator can: apt-get install {names}\n"
)
SERVER = Path(paasd.__file__).parent.parent / "deploy" / "setup" / "static" / "serve.py"
NO_SERVER = (
    f"The server of static files is not installed beside this paasd ({SERVER} is missing); run paasd from its "
    "checkout, or serve the files by a Procfile's own command."
)


class Builder:
    """Makes slugs. `wanted` are the layers of builds under way, that no artifact names yet."""

    def __init__(
        self,
        root: Path,
        slugs: Slugs,
        tools: Tools,
        runner: Callable[[], Runner],
        launcher: Launcher,
        uv: Path | None,
        memory: int,
    ) -> None:
        """`memory` in bytes, of each command; `uv` None: it is not here."""
        self._root = root
        self._slugs = slugs
        self._tools = tools
        self._runner = runner
        self._launcher = launcher
        self._uv = uv
        self._memory = memory
        self.wanted: dict[str, Used] = {}
        self._spent = False  # what all share is to be emptied
        self._noted = Used()  # of artifacts kept since somebody began to read all of them
        self._turn = asyncio.Lock()

    async def delete(self, artifact: str) -> None:
        """And what nothing else was made of, but what builds under way have.

        To read all artifacts takes a while, in which others may come: they are noted. What is to go is then out of
        sight before anybody can look again: no build finds a layer that is gone a moment later.
        """
        async with self._turn:
            slug = self._slugs.find(artifact)
            if slug is None:
                return
            self._noted = Used()
            used = await asyncio.to_thread(self._slugs.used, without=slug.name)
            for each in (self._noted, *self.wanted.values()):
                used.layers.update(each.layers)
                used.tools.update(each.tools)
            gone = [*self._slugs.delete(slug, used), *self._tools.forget(used.tools)]
        for folder in gone:
            await asyncio.to_thread(remove_tree, folder)

    def keep(self, slug: Slug, name: str) -> Artifact:
        """An artifact from now on."""
        self._noted.layers.update((slug.app_id, key) for key in (slug.app, slug.deps) if key is not None)
        self._noted.tools.update(slug.tools)
        return self._slugs.keep(slug, name)

    async def purge_cache(self, whose: str) -> int:
        """The bytes that went. What all share does not go under a build, whose uv would miss what it just saw, but when
        the last that is under way has ended."""
        if whose != SHARED:
            return await asyncio.to_thread(self._slugs.purge_cache, whose)
        self._spent = bool(self.wanted)
        gone = None if self.wanted else self._slugs.replace_shared()  # at once: no build begins meanwhile
        if gone is None:
            return 0
        size = await asyncio.to_thread(tree_size, gone)
        await asyncio.to_thread(remove_tree, gone)
        return size

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        """Raises BuildFailed with the failing command, or when it took longer than the recipe allows."""
        if recipe.slug is None:
            raise BuildFailed(NEEDS_DOCKER)
        wanted = self.wanted.setdefault(recipe.build_id, Used())
        try:
            async with asyncio.timeout(recipe.timeout):
                slug = await self._make(source, recipe, recipe.slug, wanted, output)
            return self.keep(slug, recipe.name)
        except TimeoutError as error:
            raise BuildFailed(
                f"The build took longer than {recipe.timeout:g} seconds and was stopped; "
                "make it do less, or allow it more time."
            ) from error
        finally:
            del self.wanted[recipe.build_id]
            if self._spent and not self.wanted:
                await asyncio.shield(self.purge_cache(SHARED))

    async def _make(self, source: Path, recipe: BuildSpec, slug: SlugRecipe, wanted: Used, output: Write) -> Slug:
        app_id = recipe.app_id
        self._slugs.folder(app_id)
        user = self._slugs.user(app_id)
        deps: Path | None = None
        if slug.static and not SERVER.exists():
            raise BuildFailed(NO_SERVER)
        if missing := await asyncio.to_thread(not_installed, slug.packages):
            await output(NOT_INSTALLED.format(names=" ".join(missing)).encode())
        wanted.tools.update(map(key_of, slug.tools))  # before they are looked for: nobody removes them now
        if slug.dependencies or slug.static:
            deps = await self._dependencies(source, recipe, slug, wanted, output)
        stay = await self._shared(recipe, [tool for tool in slug.tools if tool.stays], output)
        async with self._place(f"{recipe.build_id}-app", user) as place:
            await asyncio.to_thread(copy_tree, str(source), str(place.app), None, None)
            await asyncio.to_thread(give, place.app, user)
            for command in slug.commands:
                await self._run(place, command, app_id, slug, deps, stay, [place.app], output)
            key, size = await asyncio.to_thread(tree_key, place.app)
            wanted.layers.add((app_id, key))
            await asyncio.to_thread(self._settle, place.app, self._slugs.layer(app_id, key))
        size += await asyncio.to_thread(tree_size, deps) if deps is not None else 0
        name = deps.name if deps is not None else None
        tools = {key_of(tool): tool.path if tool.stays else "" for tool in slug.tools}
        return Slug(app_id, recipe.build_id, now(), size, key, name, slug.path, slug.env, slug.static, tools)

    async def _shared(self, recipe: BuildSpec, tools: Sequence[SlugTool], output: Write) -> list[Path]:
        """The folders of their programs; installed first where they are not yet."""

        async def install(tool: SlugTool, folder: Path) -> None:
            async with self._place(f"{recipe.build_id}-tool", self._tools.user) as place:
                give(place.app, self._tools.user)
                home = self._home(place)
                env = environment(None, (), {}, home)
                env |= {"PYTHON": str(python()), "TOOL": str(folder), "UV_NO_CACHE": "1", **UV}
                env |= {"NPM_CONFIG_CACHE": str(home / "npm"), "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
                view = View([place.app, folder], [], place.tmp)
                for command in tool.commands:
                    await self._one(place, command, env, place.app, view, self._tools.user, output)

        return [await self._tools.ensure(tool, partial(install, tool), output) / tool.path for tool in tools]

    async def _dependencies(
        self, source: Path, recipe: BuildSpec, slug: SlugRecipe, wanted: Used, output: Write
    ) -> Path:
        """The layer; its commands run where it will stay, since what is installed knows its own place."""
        user = self._slugs.user(recipe.app_id)
        whose = SHARED if slug.wheels and self._tools.user is not None else recipe.app_id
        installer = self._tools.user if whose == SHARED else user
        async with self._place(f"{recipe.build_id}-deps", installer) as place:
            await asyncio.to_thread(_pick, source, place.app, slug.depends_on)
            server = SERVER.read_text() if slug.static else None
            more = [str(python()), *slug.made_with, *slug.dependencies, *slug.path, *filter(None, [server])]
            more += [*(key_of(tool) for tool in slug.tools), *filter(None, [self._slugs.purges(recipe.app_id)])]
            key, _ = await asyncio.to_thread(tree_key, place.app, *more)
            layer = self._slugs.layer(recipe.app_id, key)
            wanted.layers.add((recipe.app_id, key))
            if (layer / ".whole").exists():
                await output(b"-----> Using the dependencies of the build before: what they are made of is the same\n")
                return layer
            await self._check(source, recipe, slug, output)
            tools = await self._shared(recipe, slug.tools, output)
            if layer.exists():  # of a build that was killed
                await asyncio.to_thread(remove_tree, layer)
            new_folder(layer, 0o755)
            if slug.depends_on is None:  # what is installed may refer to its source
                place_of_source = layer / "src"
                await asyncio.to_thread(shutil.copytree, place.app, place_of_source, symlinks=True)
            else:
                place_of_source = place.app
            if server is not None:
                (layer / SERVER.name).write_text(server)
                (layer / SERVER.name).chmod(0o644)
            for folder in (layer, place.app):
                await asyncio.to_thread(give, folder, installer)
            try:
                for command in slug.dependencies:
                    both = [place.app, layer]
                    await self._run(place, command, whose, slug, layer, tools, both, output, place_of_source)
                await asyncio.to_thread(_seal, layer, user)
            except BaseException:
                await asyncio.to_thread(remove_tree, layer)
                raise
        return layer

    async def _check(self, source: Path, recipe: BuildSpec, slug: SlugRecipe, output: Write) -> None:
        """Of the dependencies' own files, by commands that may run what these name: so never as who installs them."""
        user = self._slugs.user(recipe.app_id)
        for command in slug.checks:
            async with self._place(f"{recipe.build_id}-check", user) as place:
                await asyncio.to_thread(_pick, source, place.app, slug.depends_on)
                await asyncio.to_thread(give, place.app, user)
                await self._run(place, command, recipe.app_id, slug, None, [], [place.app], output)

    async def _run(
        self,
        place: DynoFolder,
        command: str,
        whose: str,
        slug: SlugRecipe,
        deps: Path | None,
        tools: Sequence[Path],
        writable: Sequence[Path],
        output: Write,
        cwd: Path | None = None,
    ) -> None:
        """One command of an app's, or for it by whoever may write to what all share."""
        cache = self._slugs.cache(whose)
        env = environment(deps, slug.path, slug.env, self._home(place), tools)
        env |= {"PYTHON": str(python()), "DEPS": str(deps or ""), "CACHE": str(cache)}
        env |= {"UV_CACHE_DIR": str(cache / "uv"), "UV_TOOL_DIR": str(cache / "uv-tools"), **UV}
        env |= {"NPM_CONFIG_CACHE": str(cache / "npm"), "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
        readable = [deps] if deps is not None and deps not in writable else []
        view = View([*writable, cache], [*readable, *self._tools.whole(tools)], place.tmp)
        user = self._tools.user if whose == SHARED else self._slugs.user(whose)
        await self._one(place, command, env, cwd or place.app, view, user, output)

    def _home(self, place: DynoFolder) -> Path:
        """Where a command may write what it keeps for itself: in a sandbox that folder is /tmp, and nowhere else."""
        return Path("/tmp") if self._runner().isolation.bwrap is not None else place.tmp  # noqa: S108 - its own

    async def _one(
        self,
        place: DynoFolder,
        command: str,
        env: Mapping[str, str],
        cwd: Path,
        view: View,
        user: tuple[int, int] | None,
        output: Write,
    ) -> None:
        """One command to its end. BuildFailed unless it exits 0."""
        await output(f"-----> {command}\n".encode())
        if self._uv is not None:
            env = {**env, "PATH": f"{env['PATH']}:{self._uv.parent}"}
            view = replace(view, readable=[*view.readable, self._uv.parent])
        wanted = self._runner().launch(
            place.path,
            command,
            env=env,
            cwd=cwd,
            view=view,
            user=user,
            limits=Limits(self._memory, None, BUILD_PIDS),
            stdio="given",
        )
        code = await self._output_of(place, wanted, output)
        if code.code != 0:
            oom = f" was killed for using more than {self._memory >> 20} MB (build.memory_mb);" if code.oom else ""
            ended = oom or f" exited with status {code.code};"
            raise BuildFailed(f"`{command}`{ended} see the log above.", exit_code=code.code)

    async def _output_of(self, place: DynoFolder, wanted: dict[str, object], output: Write) -> Exit:
        ends = listening()
        (place.path / "exit.json").unlink(missing_ok=True)  # of the command before
        try:
            child, _ = await self._launcher.launch(wanted, ends.theirs)
        except BaseException:
            ends.close()
            raise
        finally:
            ends.close_theirs()

        async def ended() -> Exit:
            await child.ended.wait()
            found = place.exit()
            if found is None:
                raise EngineUnavailable("How the build's command ended is not known; build again.")
            return found

        async def stop() -> None:
            child.kill()
            await child.ended.wait()

        shell = ProcessShell(ends, ended, stop)
        newline = True
        try:
            async for chunk in shell.output():
                await output(chunk)
                newline = chunk.endswith(b"\n")
            if not newline:
                await output(b"\n")
            return await shell.wait()
        finally:
            child.kill()
            await shell.close()

    @asynccontextmanager
    async def _place(self, name: str, user: tuple[int, int] | None) -> AsyncIterator[DynoFolder]:
        """A folder to build in, gone afterwards. `app` in it is the user's only once it is filled: without a sandbox
        its dynos, which are the same user, could lead what we write there elsewhere."""
        place = DynoFolder(self._root / "builds" / name)
        new_folder(place.path)
        for folder in (place.app, place.tmp):
            folder.mkdir(mode=0o700)
        give(place.tmp, user)
        try:
            yield place
        finally:
            await asyncio.shield(asyncio.to_thread(place.remove))

    def _settle(self, folder: Path, layer: Path) -> None:
        """To where it stays. Nobody but us looks into it: dynos get copies."""
        folder.chmod(0o700)
        os.chown(folder, os.geteuid(), os.getegid())
        with suppress(OSError):  # the same content is there already
            folder.rename(layer)


def uv_program(search_path: str) -> Path | None:
    """The one installed with paasd, else the first on the search path."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv", path=search_path)
    return Path(found) if found is not None else None


def find_uv(search_path: str, tools: Path) -> Path | None:
    """uv as apps' users may run it: a copy in `tools`, of the one installed with paasd, or on the search path."""
    found = uv_program(search_path)
    if found is None:
        return None
    source, copy = found.resolve(), tools / "uv"
    new_folder(tools, 0o755)
    if not copy.exists() or copy.stat().st_mtime_ns != source.stat().st_mtime_ns:
        aside = tools / f".uv.{os.urandom(4).hex()}"
        shutil.copy2(source, aside)
        aside.chmod(0o755)
        aside.replace(copy)
    return copy


def _seal(layer: Path, user: tuple[int, int] | None) -> None:
    """No longer the app's to change, and whole."""
    if user is not None:
        give(layer, (os.geteuid(), user[1]))
        layer.chmod(0o750)
    try:  # never through a link of that name
        os.close(os.open(layer / ".whole", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except FileExistsError as error:
        raise BuildFailed("The installation makes a file `.whole` among what it installs; leave that out.") from error


def _pick(source: Path, target: Path, names: Sequence[str] | None) -> None:
    """All of a source, or only some of its files."""
    if names is None:
        copy_tree(str(source), str(target), None, None)
        return
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
