"""Programs that builds need and that are no app's: Poetry, pipenv, yarn, pnpm. Installed once, for all apps.

ROOT/shared/<key>            a link to the folder that has it, made when that is whole
ROOT/shared/<key>.<random>   the folder, where it was installed, since what is installed knows its own place

The key is a digest of all that makes it. It is installed by a user that no app is, out of sight of any app's files, and
is the daemon's own afterwards: builds and dynos read it and run it, and none can write to it, so that what one app's
build does reaches no other. What no artifact names goes with the last that did.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from paasd.adapters.process_dynos import new_folder
from paasd.adapters.process_slugs import Slug, give
from paasd.domain.errors import DynoUnhealthy
from paasd.domain.slug import SlugTool
from paasd.ports import Write

Make = Callable[[Path], Awaitable[None]]
LEFT_SECONDS = 86_400.0  # what is half made for longer was left by a daemon that was killed


class Tools:
    """Those of one home."""

    def __init__(self, root: Path, user: tuple[int, int] | None) -> None:
        """`user` installs them; None: the daemon's own."""
        self._root = root / "shared"
        self.user = user
        self._turns: dict[str, asyncio.Lock] = {}

    def prepare(self) -> None:
        """The folder. Who knows a tool's place may pass to it."""
        new_folder(self._root)

    def find(self, key: str) -> Path | None:
        """Where it is; None when it is not, or not whole."""
        try:
            folder = self._root / (self._root / key).readlink()
        except FileNotFoundError:
            return None
        return folder if folder.is_dir() else None

    def of(self, slug: Slug) -> list[Path]:
        """The folders of programs that a slug's dynos find. DynoUnhealthy when somebody removed one."""
        found = {key: self.find(key) for key, path in slug.tools.items() if path}
        if None in found.values():
            raise DynoUnhealthy("A program that the app was built with is gone; push its commit again.")
        return [place / slug.tools[key] for key, place in found.items() if place is not None]

    def readable(self, slug: Slug, deps: Path | None) -> list[Path]:
        """What a slug's dynos see beside their own files."""
        return [*([deps] if deps is not None else []), *self.whole(self.of(slug))]

    def whole(self, folders: Sequence[Path]) -> list[Path]:
        """What folders of programs belong to."""
        return [self._root / folder.relative_to(self._root).parts[0] for folder in folders]

    async def ensure(self, tool: SlugTool, make: Make, output: Write) -> Path:
        """Where it is; installed by `make` if it is not yet. Builds that want it at once install it once."""
        key = key_of(tool)
        turn = self._turns.setdefault(key, asyncio.Lock())
        if turn.locked():
            await output(f"-----> Waiting for {tool.name}, which another build installs\n".encode())
        async with turn:
            found = self.find(key)
            if found is not None:
                return found
            await output(f"-----> Installing {tool.name}, once for all apps\n".encode())
            return await self._install(key, make)

    async def _install(self, key: str, make: Make) -> Path:
        folder = self._root / f"{key}.{os.urandom(4).hex()}"
        try:
            new_folder(folder, 0o755)
            give(folder, self.user)
            await make(folder)
            await asyncio.to_thread(seal, folder)
            return self._publish(key, folder)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
            raise

    def _publish(self, key: str, folder: Path) -> Path:
        """From now on it is found. A daemon that hands over to this one may have been first: that one's is it."""
        link = self._root / key
        if self.find(key) is None:
            link.unlink(missing_ok=True)  # to what somebody removed
        try:
            link.symlink_to(folder.name)
        except FileExistsError:
            shutil.rmtree(folder, ignore_errors=True)
        return self._root / link.readlink()

    def forget(self, used: Collection[str]) -> list[Path]:
        """Those that are not used are found no more; their folders are to be removed by whoever has the time."""
        links = {one.name: str(one.readlink()) for one in self._root.iterdir() if one.is_symlink()}
        unused = links.keys() - set(used)
        for key in unused:
            (self._root / key).unlink()
        kept = {folder for key, folder in links.items() if key not in unused}
        folders = [one for one in self._root.iterdir() if not one.is_symlink() and one.name not in kept]
        at_once = {links[key] for key in unused}
        return [one for one in folders if one.name in at_once or not self._is_made(one)]

    def _is_made(self, folder: Path) -> bool:
        """Whether one that nothing leads to may be on its way: here, or by a daemon that hands over to this one."""
        turn = self._turns.get(folder.name.partition(".")[0])
        return (turn is not None and turn.locked()) or time.time() - folder.stat().st_mtime < LEFT_SECONDS


def key_of(tool: SlugTool) -> str:
    """By what it is made of."""
    parts = [*tool.commands, "", *tool.made_with]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def seal(folder: Path) -> None:
    """The daemon's own, and nobody else's to change, whatever modes its installer gave. Walks it."""
    owner = (os.geteuid(), os.getegid())
    for directory, _, files in os.walk(folder):
        for path in (Path(directory), *(Path(directory) / name for name in files)):
            os.chown(path, *owner, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod((path.stat().st_mode & 0o755) | (0o755 if path.is_dir() else 0o444))
