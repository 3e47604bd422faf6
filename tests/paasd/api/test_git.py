import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from paasd.domain.errors import BuildFailed, ReleaseInProgress, Unavailable
from paasd.domain.push import Push
from paasd.ports import Write
from tests.paasd.pushing import APP, SECRET, Site, User, serving


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path / "home") as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    user = User(tmp_path / "user" / "work")
    user.commit({"app.py": "print('hello')\n"}, "First")
    yield user


async def test_a_push_is_deployed_and_its_output_is_seen(site: Site, user: User) -> None:
    done = await user.git("push", site.url, "main")
    assert done.code == 0, done.err
    assert "remote: -----> deployed" in done.err
    assert site.ref("refs/heads/main") == user.now("rev-parse", "HEAD")
    (push,) = site.pushes
    assert (push.app, push.branch, push.old, push.sha) == (APP, "main", None, user.now("rev-parse", "HEAD"))
    assert (push.actor.email, push.actor.token, push.actor.address) == ("ann@example.org", "laptop", "127.0.0.1")


async def test_output_comes_while_the_deploy_runs(site: Site, user: User) -> None:
    seen = asyncio.Event()

    async def receive(push: Push, write: Write) -> None:
        await write(b"-----> building\n")
        await seen.wait()
        await write(b"-----> built\n")

    site.receive = receive  # type: ignore[method-assign]
    process = await user.start("push", site.url, "main")
    assert process.stderr is not None
    async with asyncio.timeout(10):
        async for line in process.stderr:
            if b"building" in line:
                break
        assert site.ref("refs/heads/main") is None
        seen.set()
        assert b"-----> built" in await process.stderr.read()
        assert await process.wait() == 0


async def test_a_silent_deploy_keeps_the_line_alive(site: Site, user: User) -> None:
    async def receive(push: Push, write: Write) -> None:
        await asyncio.sleep(3.5)  # longer than several of git's own keep-alives

    site.receive = receive  # type: ignore[method-assign]
    assert (await user.git("push", site.url, "main")).code == 0


async def test_a_rejection_leaves_the_branch_and_says_why(site: Site, user: User) -> None:
    assert (await user.git("push", site.url, "main")).code == 0
    before = user.now("rev-parse", "HEAD")
    user.commit({"app.py": "broken\n"})

    async def receive(push: Push, write: Write) -> None:
        assert push.old == before
        raise BuildFailed("No process types found: add a Procfile.")

    site.receive = receive  # type: ignore[method-assign]
    done = await user.git("push", site.url, "main")
    assert done.code != 0
    assert "remote:  !     No process types found: add a Procfile." in done.err
    assert "remote:  !     Push rejected." in done.err
    assert site.ref("refs/heads/main") == before


async def test_a_push_that_can_not_be_recorded_is_told_why(site: Site, user: User) -> None:
    """Bites: answer with a status of 503, and git prints that number alone."""
    site.busy = Unavailable("The database is busy; try again.")
    user.commit({"big.bin": os.urandom(3_000_000)})  # sent in pieces, which git asks for leave first
    done = await user.git("push", site.url, "main")
    assert done.code != 0
    assert "remote:  !     The database is busy; try again." in done.err
    assert "remote:  !     Push rejected." in done.err
    assert site.ref("refs/heads/main") is None and site.pushes == []
    site.busy = None
    assert (await user.git("push", site.url, "main")).code == 0


async def test_a_fault_of_ours_is_not_shown(site: Site, user: User, capfd: pytest.CaptureFixture[str]) -> None:
    async def receive(push: Push, write: Write) -> None:
        raise RuntimeError("the secret is xyzzy")

    site.receive = receive  # type: ignore[method-assign]
    done = await user.git("push", site.url, "main")
    assert done.code != 0
    assert "Internal error" in done.err and "see the daemon's log" in done.err
    assert "xyzzy" not in done.err
    assert "xyzzy" in capfd.readouterr().out
    assert site.ref("refs/heads/main") is None


async def test_the_pusher_going_away_cancels_the_deploy(site: Site, user: User) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def receive(push: Push, write: Write) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    site.receive = receive  # type: ignore[method-assign]
    process = await user.start("push", site.url, "main")
    async with asyncio.timeout(10):
        await began.wait()
    os.killpg(process.pid, signal.SIGINT)
    async with asyncio.timeout(2):
        await cancelled.wait()
    await process.communicate()
    assert site.ref("refs/heads/main") is None


async def test_one_who_reads_nothing_gets_no_more_but_is_deployed(tmp_path: Path, user: User) -> None:
    deployed = asyncio.Event()

    async def receive(push: Push, write: Write) -> None:
        for _ in range(400):
            await write(b"x" * 65535 + b"\n")
        deployed.set()

    async with serving(tmp_path / "home", stalled_seconds=0.2) as site:
        site.receive = receive  # type: ignore[method-assign]
        process = await user.start("push", site.url, "main")
        async with asyncio.timeout(30):
            await deployed.wait()  # nobody reads the process's output
        async with asyncio.timeout(30):
            _, err = await process.communicate()
        assert process.returncode == 0, err[-300:]
        assert len(err) < 20 * 1024**2
        assert site.ref("refs/heads/main") == user.now("rev-parse", "HEAD")


async def test_a_forced_push(site: Site, user: User) -> None:
    user.commit({"a": "1"})
    assert (await user.git("push", site.url, "main")).code == 0
    user.now("reset", "-q", "--hard", "HEAD~1")
    user.commit({"b": "1"})
    assert (await user.git("push", site.url, "main")).code != 0
    assert (await user.git("push", "--force", site.url, "main")).code == 0
    assert site.ref("refs/heads/main") == user.now("rev-parse", "HEAD")
    assert len(site.pushes) == 2


async def test_other_branches_and_tags_are_kept_but_not_built(site: Site, user: User) -> None:
    user.now("tag", "v1")
    done = await user.git("push", site.url, "main:feature", "v1")
    assert done.code == 0
    assert "remote: Pushed to non-main branch, skipping build." in done.err
    assert site.ref("refs/heads/feature") and site.ref("refs/tags/v1")
    assert site.pushes == []
    assert (await user.git("push", site.url, ":feature")).code == 0
    assert site.ref("refs/heads/feature") is None


async def test_a_tag_beside_main_does_not_stop_the_deploy(site: Site, user: User) -> None:
    user.now("tag", "-a", "v1", "-m", "one")
    assert (await user.git("push", site.url, "main", "v1")).code == 0
    assert len(site.pushes) == 1


@pytest.mark.parametrize(
    ("refs", "words"),
    [
        (["main:main", "main:master"], "main and master can't be pushed at once"),
        (["main:refs/paasd/x"], "can't be pushed; push a branch or a tag"),
        (["main:refs/heads/main/x"], "would stand in the way"),
        (["main:refs/builds/1"], "deny updating a hidden ref"),
    ],
)
async def test_what_may_not_be_pushed(site: Site, user: User, refs: list[str], words: str) -> None:
    done = await user.git("push", site.url, *refs)
    assert done.code != 0
    assert words in done.err
    assert site.pushes == []


@pytest.mark.parametrize("branch", ["main", "master"])
async def test_the_deployed_branch_can_not_be_deleted(site: Site, user: User, branch: str) -> None:
    assert (await user.git("push", site.url, f"main:{branch}")).code == 0
    done = await user.git("push", site.url, f":{branch}")
    assert done.code != 0
    assert "can't be deleted" in done.err
    assert site.ref(f"refs/heads/{branch}")


async def test_clone_and_fetch(site: Site, user: User, tmp_path: Path) -> None:
    await user.git("push", site.url, "main:master")
    user.now(f"--git-dir={site.repo}", "update-ref", "refs/builds/b1", "refs/heads/master")
    clone = User(tmp_path / "clone" / "work")
    done = await clone.git("clone", "-q", site.url, "copy")
    assert done.code == 0, done.err
    assert (clone.directory / "copy" / "app.py").read_text() == "print('hello')\n"  # HEAD followed master
    listed = await clone.git("ls-remote", site.url)
    assert "refs/heads/master" in listed.out and "refs/builds" not in listed.out
    for version in ("0", "1", "2"):
        assert (await clone.git("-c", f"protocol.version={version}", "ls-remote", site.url)).out == listed.out


async def test_a_fetch_with_a_gzipped_body(site: Site, user: User, tmp_path: Path) -> None:
    await user.git("push", site.url, "main")
    clone = User(tmp_path / "clone" / "work")
    for number in range(60):  # many haves make the request long enough to be compressed
        clone.commit({"f": str(number)})
    clone.environment["GIT_TRACE_CURL"] = "1"
    done = await clone.git("fetch", site.url, "main")
    assert done.code == 0, done.err
    assert "content-encoding: gzip" in done.err.lower()


async def test_without_a_token(site: Site, user: User) -> None:
    bare = site.url.replace(f"git:{SECRET}@", "")
    done = await user.git("push", bare, "main")
    assert done.code != 0
    async with aiohttp.ClientSession() as session:
        url = f"{bare}/info/refs?service=git-receive-pack"
        async with session.get(url) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="paasd"'
            assert answer.content_type == "text/plain"
        async with session.get(url, headers={"Authorization": "Basic %%%"}) as answer:
            assert answer.status == 401
        async with session.get(url, headers={"Authorization": f"Bearer {SECRET}"}) as answer:
            assert answer.status == 200
            assert (await answer.read()).startswith(b"001f# service=git-receive-pack\n0000")
        async with session.post(f"{bare}/git-receive-pack", data=b"0000") as answer:
            assert answer.status == 401


async def test_a_wrong_token_and_an_unknown_app(site: Site, user: User) -> None:
    done = await user.git("push", site.url.replace(SECRET, "wrong"), "main")
    assert done.code != 0
    assert "remote: That token is not known" in done.err
    done = await user.git("push", site.url.replace("shop", "shopp"), "main")
    assert done.code != 0
    assert "remote: Couldn't find that app." in done.err


async def test_what_is_not_the_smart_protocol(site: Site) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as session:
        bare = site.url.replace(f"git:{SECRET}@", "")
        for suffix, status in (("info/refs", 403), ("info/refs?service=git-evil", 403), ("HEAD", 404), ("config", 404)):
            async with session.get(f"{bare}/{suffix}") as answer:
                assert answer.status == status
        async with session.post(f"{bare}/git-receive-pack", data=b"0000") as answer:
            assert answer.status == 415


async def test_a_big_pack(site: Site, user: User) -> None:
    user.commit({"big.bin": os.urandom(12 * 1024 * 1024)})  # above http.postBuffer: sent chunked
    done = await user.git("push", site.url, "main")
    assert done.code == 0, done.err
    assert site.ref("refs/heads/main") == user.now("rev-parse", "HEAD")


async def test_a_pack_above_the_limit(tmp_path: Path, user: User) -> None:
    async with serving(tmp_path / "small", max_push_bytes=1024 * 1024) as site:
        user.commit({"big.bin": os.urandom(6 * 1024 * 1024)})
        done = await user.git("push", site.url, "main")
        assert done.code != 0
        assert "pack exceeds maximum allowed size" in done.err
        assert site.pushes == [] and site.ref("refs/heads/main") is None


@pytest.mark.parametrize("name", [".git", "..", ".GIT", "a/b", "git~1"])
async def test_hostile_trees_are_refused_by_fsck(site: Site, user: User, name: str) -> None:
    user.commit_tree(f"100644 {user.blob('x')} {name}")
    done = await user.git("push", site.url, "main")
    assert done.code != 0
    assert "fsck error" in done.err or "object" in done.err, done.err
    assert site.pushes == [] and site.ref("refs/heads/main") is None


async def test_hooks_in_the_content_or_the_repository_do_not_run(site: Site, user: User, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    script = f"#!/bin/sh\ntouch {mark}\n"
    hooks = site.repo / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("update", "post-receive", "reference-transaction", "pre-receive"):
        (hooks / name).write_text(script)
        (hooks / name).chmod(0o755)
    user.commit({"hooks/pre-receive": script, "hooks/post-receive": script})
    assert (await user.git("push", site.url, "main")).code == 0
    assert not mark.exists()


async def test_the_second_of_two_pushes_is_told_who_is_first(site: Site, user: User, tmp_path: Path) -> None:
    busy, release = asyncio.Lock(), asyncio.Event()
    began = asyncio.Event()

    async def receive(push: Push, write: Write) -> None:
        if busy.locked():
            raise ReleaseInProgress("ann@example.org is pushing to shop; wait for it to end, then push again.")
        async with busy:
            began.set()
            await release.wait()

    site.receive = receive  # type: ignore[method-assign]
    other = User(tmp_path / "other" / "work")
    other.commit({"app.py": "other\n"})
    first = await user.start("push", site.url, "main")
    async with asyncio.timeout(20):
        await began.wait()
        second = await other.git("push", site.url, "main")
        assert second.code != 0 and "ann@example.org is pushing to shop" in second.err
        release.set()
        await first.communicate()
    assert first.returncode == 0
    assert site.ref("refs/heads/main") == user.now("rev-parse", "HEAD")


async def test_at_the_daemons_end_the_pusher_is_told_and_the_ref_rejected(site: Site, user: User) -> None:
    began, undone = asyncio.Event(), asyncio.Event()

    async def receive(push: Push, write: Write) -> None:
        await write(b"-----> Building\n")
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)  # what it takes to undo
            undone.set()

    site.receive = receive  # type: ignore[method-assign]
    push = await user.start("push", site.url, "main")
    async with asyncio.timeout(20):
        await began.wait()
        await site.hook.close()
        assert undone.is_set()
        _, err = await push.communicate()
    assert push.returncode != 0
    said = err.decode()
    assert "remote:  !     paasd is being stopped and this push was undone; push again when it runs." in said
    assert "[remote rejected] main -> main (pre-receive hook declined)" in said
    assert "RPC failed" not in said
    assert site.ref("refs/heads/main") is None


async def test_nothing_to_push_asks_nobody(site: Site, user: User) -> None:
    await user.git("push", site.url, "main")
    assert "Everything up-to-date" in (await user.git("push", site.url, "main")).err
    assert len(site.pushes) == 1
