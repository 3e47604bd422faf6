import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paasd.api.hook import HookServer, Update, choose, install, wants_queue
from paasd.domain.access import Actor
from paasd.domain.errors import InvalidParams
from paasd.domain.push import Push
from paasd.ports import Write
from tests.paasd.pushing import APP

ACTOR = Actor("owner", "ann@example.org", "laptop", "127.0.0.1")
OLD, NEW, NONE = "a" * 40, "b" * 40, "0" * 40
MAIN = f"{OLD} {NEW} refs/heads/main\n".encode()


class Daemon:
    """A hook server whose deploys the test decides on."""

    def __init__(self, root: Path) -> None:
        self.pushes: list[Push] = []
        self.cancelled = asyncio.Event()
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.server = HookServer(root / "hook.sock", root / "hooks", self.receive)
        self.hook = root / "hooks" / "pre-receive"

    async def receive(self, push: Push, write: Write) -> None:
        self.pushes.append(push)
        await write(b"hello\n")
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def start(self, environment: dict[str, str]) -> asyncio.subprocess.Process:
        """The hook, as git starts it."""
        return await asyncio.create_subprocess_exec(
            self.hook,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"GIT_QUARANTINE_PATH": "/quarantine/ü", **environment},
        )

    async def call(self, environment: dict[str, str], updates: bytes = MAIN) -> tuple[int | None, str]:
        """The hook to its end: exit code and output."""
        process = await self.start(environment)
        async with asyncio.timeout(20):
            out, err = await process.communicate(updates)
        assert err == b""
        return process.returncode, out.decode()


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path)
    async with daemon.server:
        yield daemon


def update(ref: str, new: str | None = NEW) -> Update:
    return Update(ref, OLD, new)


def test_choose() -> None:
    main, tag = update("refs/heads/main"), update("refs/tags/v1")
    assert choose([main]) is main
    assert choose([tag, main, update("refs/heads/x", None)]) is main
    assert choose([tag]) is None
    for wrong in (
        [main, update("refs/heads/master")],
        [update("refs/heads/main", None)],
        [main, update("refs/notes/x")],
        [update("refs/heads/master/x")],
        [update("HEAD")],
    ):
        with pytest.raises(InvalidParams):
            choose(wrong)


async def test_the_hook_passes_on_what_git_says(daemon: Daemon) -> None:
    with daemon.server.expect(APP, ACTOR) as environment:
        assert await daemon.call(dict(environment)) == (0, "hello\n")
    assert daemon.pushes == [Push(APP, ACTOR, "main", OLD, NEW, Path("/quarantine/ü"))]


async def test_a_new_branch_has_no_old_commit(daemon: Daemon) -> None:
    with daemon.server.expect(APP, ACTOR) as environment:
        await daemon.call(dict(environment), f"{NONE} {NEW} refs/heads/master\n".encode())
    assert (daemon.pushes[0].branch, daemon.pushes[0].old) == ("master", None)


async def test_a_push_id_counts_once_and_only_meanwhile(daemon: Daemon) -> None:
    with daemon.server.expect(APP, ACTOR) as environment:
        variables = dict(environment)
        assert (await daemon.call(variables))[0] == 0
        code, out = await daemon.call(variables)
        assert code == 1 and "did not come through paasd" in out
    with daemon.server.expect(APP, ACTOR) as environment:
        variables = dict(environment)
    assert (await daemon.call(variables))[0] == 1
    assert (await daemon.call({**variables, "PAASD_PUSH_ID": "guess"}))[0] == 1
    assert len(daemon.pushes) == 1


async def test_an_odd_ref_name_is_one_ref(daemon: Daemon) -> None:
    updates = f"{OLD} {NEW} refs/heads/a\u2028b\n{OLD} {NEW} refs/heads/c\n".encode() + b"%b %b refs/tags/\xff\n" % (
        OLD.encode(),
        NEW.encode(),
    )
    with daemon.server.expect(APP, ACTOR) as environment:
        assert await daemon.call(dict(environment), updates) == (0, "Pushed to non-main branch, skipping build.\n")


async def test_the_end_of_the_hook_cancels_the_deploy(daemon: Daemon) -> None:
    daemon.may_end.clear()
    with daemon.server.expect(APP, ACTOR) as environment:
        process = await daemon.start(dict(environment))
        assert process.stdin is not None
        process.stdin.write(MAIN)
        process.stdin.close()
        async with asyncio.timeout(10):
            await daemon.began.wait()
            process.terminate()
            await daemon.cancelled.wait()
            await process.communicate()


async def test_the_daemon_s_end_cancels_the_deploy_and_rejects_the_push(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.may_end.clear()
    async with daemon.server:
        with daemon.server.expect(APP, ACTOR) as environment:
            process = await daemon.start(dict(environment))
            assert process.stdin is not None
            process.stdin.write(MAIN)
            process.stdin.close()
            async with asyncio.timeout(10):
                await daemon.began.wait()
            variables = dict(environment)
    assert daemon.cancelled.is_set()
    async with asyncio.timeout(10):
        out, _ = await process.communicate()
    assert (
        process.returncode == 1
        and b" !     paasd is being stopped and this push was undone; push again when it runs.\n" in out
    )
    code, said = await daemon.call(variables)
    assert code == 1 and "paasd can't be reached" in said


async def test_what_is_no_hook_is_let_go(daemon: Daemon, tmp_path: Path) -> None:
    for data in (b"", b"\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x03abc", b"GET / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "hook.sock")
        writer.write(data)
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
        await writer.wait_closed()
    assert daemon.pushes == []


async def test_a_socket_path_too_long_for_the_kernel(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    daemon = Daemon(deep)
    async with daemon.server:
        with daemon.server.expect(APP, ACTOR) as environment:
            assert (await daemon.call(dict(environment)))[0] == 0
        assert (deep / "hook.sock").stat().st_mode & 0o777 == 0o600
    assert not (deep / "hook.sock").exists()


async def test_a_second_start_takes_the_place_of_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "hook.sock").touch()
    install(tmp_path / "hooks")
    async with Daemon(tmp_path).server:
        pass


@pytest.mark.parametrize("python", [sys.executable, f"/a b/{'c' * 200}/it's python"])
def test_install(tmp_path: Path, python: str) -> None:
    install(tmp_path / "my hooks", python=python)
    program = tmp_path / "my hooks" / "pre-receive"
    assert program.stat().st_mode & 0o777 == 0o700 and program.parent.stat().st_mode & 0o777 == 0o700
    first = program.read_text().splitlines()[0]
    assert first == (f"#!{python} -IS" if python == sys.executable else "#!/bin/sh")


def test_install_where_the_interpreter_s_path_is_long(tmp_path: Path) -> None:
    deep = tmp_path / "a b" / ("c" * 120)
    deep.mkdir(parents=True)
    (deep / "it's python").symlink_to(sys.executable)
    install(tmp_path / "hooks", python=str(deep / "it's python"))
    done = subprocess.run([tmp_path / "hooks" / "pre-receive"], input=b"", capture_output=True, env=dict(os.environ))
    assert done.returncode == 1 and b"paasd can't be reached" in done.stdout, done.stderr


async def test_a_push_option_asks_to_wait(daemon: Daemon) -> None:
    """Bites: `queue=queue` left out of the Push."""
    with daemon.server.expect(APP, ACTOR) as environment:
        await daemon.call({**environment, "GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "queue"})
    assert daemon.pushes[0].queue
    with daemon.server.expect(APP, ACTOR) as environment:
        code, out = await daemon.call({**environment, "GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "now"})
    assert code == 1 and "The push option 'now' is not known" in out
    assert len(daemon.pushes) == 1
    assert not wants_queue([])
