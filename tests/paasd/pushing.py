"""A user with git, and a paasd git service to push to: real git, real sockets, only the deploy is the test's own."""

import asyncio
import os
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from paasd.adapters.git_repos import MAX_PUSH_BYTES, GitRepos
from paasd.api.git import GitHttp
from paasd.api.hook import HookServer
from paasd.domain.access import Account, Actor, Permission, Scope, Token
from paasd.domain.app import App
from paasd.domain.errors import Forbidden, NotFound, Unauthorized, Unavailable
from paasd.domain.push import Push
from paasd.ports import Write

NOW = datetime(2026, 11, 23, tzinfo=UTC)
APP = App("5f0a4f6e-0000-4000-8000-000000000001", "shop", "owner", "ann@example.org", False, NOW, NOW)
ACCOUNT = Account("owner", "ann@example.org", "Ann", NOW)
TOKEN = Token("token", "owner", "laptop", "", NOW)
SECRET = "s3cret"
PATH = os.environ["PATH"]


@dataclass
class Done:
    """A git command that ended."""

    code: int
    out: str
    err: str


class User:
    """Somebody's git, with a work tree of its own in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            "PATH": PATH,
            "HOME": str(directory.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            "GIT_AUTHOR_NAME": "Ann Otter",
            "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Ann Otter",
            "GIT_COMMITTER_EMAIL": "ann@example.org",
        }
        directory.mkdir(parents=True)
        self.now("init", "-q", "-b", "main")

    def now(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run git at once; its output. For what needs no server."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.directory, env=self.environment, input=stdin, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str | bytes], subject: str = "Change") -> str:
        """Write the files and commit them all; the sha."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.now("add", "-A")
        self.now("commit", "-q", "--allow-empty", "-m", subject)
        return self.now("rev-parse", "HEAD")

    def commit_tree(self, *entries: str, subject: str = "Made by hand") -> str:
        """A commit of a tree given as `mode type sha TAB name` lines, unchecked; main is moved to it."""
        raw = b"".join(
            f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha)
            for mode, sha, name in (entry.split(" ", 2) for entry in entries)
        )
        tree = self.now("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
        commit = self.now("commit-tree", tree, "-m", subject)
        self.now("update-ref", "refs/heads/main", commit)
        return commit

    def blob(self, content: str) -> str:
        """The sha of a blob."""
        return self.now("hash-object", "-w", "--stdin", stdin=content.encode())

    async def start(self, *arguments: str) -> Process:
        """git as a process of its own group, output piped."""
        return await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=self.directory,
            env=self.environment,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )

    async def git(self, *arguments: str) -> Done:
        """git to its end."""
        process = await self.start(*arguments)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())


class Site:
    """A running service. `receive` is the deploy; a test puts its own in its place. `pushes` are those it was given."""

    def __init__(self, home: Path, max_push_bytes: int, stalled_seconds: float) -> None:
        self.home = home
        self.hooks = home / "hooks"
        self.repos = GitRepos(home, path=PATH, hooks=self.hooks, max_push_bytes=max_push_bytes)
        self.hook = HookServer(home / "hook.sock", self.hooks, self._receive, stalled_seconds=stalled_seconds)
        self.pushes: list[Push] = []
        self.recorded: list[str] = []
        self.busy: Unavailable | None = None  # what keeps it from being recorded
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://git:{SECRET}@127.0.0.1:{self.port}/shop.git"

    @property
    def repo(self) -> Path:
        return self.home / "apps" / APP.id / "repo.git"

    async def receive(self, push: Push, write: Write) -> None:
        await write(b"-----> deployed\n")

    async def _receive(self, push: Push, write: Write) -> None:
        self.pushes.append(push)
        await self.receive(push, write)

    def ref(self, name: str) -> str | None:
        """Where a ref of the app's repository points."""
        done = subprocess.run(
            ["git", f"--git-dir={self.repo}", "rev-parse", "-q", "--verify", name], capture_output=True, text=True
        )
        return done.stdout.strip() or None


@asynccontextmanager
async def serving(
    home: Path, max_push_bytes: int = MAX_PUSH_BYTES, stalled_seconds: float = 30.0
) -> AsyncIterator[Site]:
    """A site on a free port of the loopback."""

    async def authenticate(token: str) -> tuple[Account, Token]:
        if token != SECRET:
            raise Unauthorized("That token is not known; run `paas git:remote`.")
        return ACCOUNT, TOKEN

    async def find_app(name: str) -> App:
        if name != APP.name:
            raise NotFound("Couldn't find that app.", resource="app")
        return APP

    async def admit(account: Account, token: Token, app: App, wanted: Permission, scope: Scope) -> None:
        if account != ACCOUNT or token != TOKEN or app != APP:
            raise Forbidden("Nobody else may push here.")

    async def record(app: App, actor: Actor) -> None:
        if site.busy is not None:
            raise site.busy
        site.recorded.append(f"{actor.email} {app.name}")

    site = Site(home, max_push_bytes, stalled_seconds)
    await site.repos.create(APP.id)
    async with site.hook:
        application = web.Application()
        application.add_routes(GitHttp(authenticate, find_app, admit, record, site.repos, site.hook).routes())
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            site.port = runner.addresses[0][1]
            yield site
        finally:
            await runner.cleanup()
