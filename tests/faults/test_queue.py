"""One push at a time: one waits its turn, one is cancelled, one is left by Ctrl-C; each frees the app at once."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.shop import HELLO, Shop, docker, open_shop
from tests.daemon import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

SLOW = "FROM paasd/stack:bookworm\nRUN echo marked-{mark} && sleep 600\n"


@pytest.fixture(scope="module")
def shop(brisk: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app that serves."""
    shop = open_shop(brisk, tmp_path_factory.mktemp("queue"), "queue")
    shop.deploy()
    return shop


@contextmanager
def push(shop: Shop, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """`git push` of what is committed, in a process group of its own, as at a terminal; it ends with the block."""
    with subprocess.Popen(
        ["git", "push", *options, "paasd", "HEAD:main"],
        cwd=shop.shell.cwd,
        env=shop.shell.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as pushing:
        try:
            yield pushing
        finally:
            if pushing.poll() is None:
                os.killpg(pushing.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Building:
    """A push whose build step runs, and would for ten minutes."""

    shop: Shop
    pushing: "subprocess.Popen[str]"
    mark: str
    builds: frozenset[str]

    def step_runs(self) -> bool:
        """Whether its marked process is there."""
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if f"echo marked-{self.mark} ".encode() in command.read_bytes():
                    return True
            except OSError:
                continue
        return False

    def outcome(self) -> tuple[str, str]:
        """(status, failure) of the build that was not there before the push."""
        [build] = [build for id, build in self.shop.builds().items() if id not in self.builds]
        return build["status"], build["failure"]


@contextmanager
def building(shop: Shop) -> Iterator[Building]:
    """Afterwards the app takes the next push at once, and what it was made slow by is taken out."""
    mark = uuid.uuid4().hex  # this machine may run the same test twice at once
    before = frozenset(shop.builds())
    shop.shell.commit("Slow", {"Dockerfile": SLOW.format(mark=mark)})
    try:
        with push(shop) as pushing:
            under_way = Building(shop, pushing, mark, before)
            wait_until(under_way.step_runs, 60, "the build step did not begin", pushing)
            yield under_way
    finally:
        shop.deploy({"Dockerfile": (HELLO / "Dockerfile").read_text()})


def test_a_cancelled_build_ends_and_frees_the_app(shop: Shop) -> None:
    """Bites: `holder.work.cancel()` left out of Builds.cancel."""
    with building(shop) as build:
        assert "Stopping build" in shop.shell.run("paas", "builds:cancel", "-a", shop.name)
        wait_until(lambda: not build.step_runs(), 30, "the build step's process went on")
        said, _ = build.pushing.communicate(timeout=30)
        assert build.outcome() == ("failed", "Cancelled by owner@localhost.")
    assert "Build cancelled by owner@localhost; push again" in said
    assert build.pushing.returncode != 0


def test_ctrl_c_in_the_push_ends_its_build_and_frees_the_app(shop: Shop) -> None:
    """Bites: `deploy.cancel()` left out of HookServer._attend."""
    with building(shop) as build:
        os.killpg(build.pushing.pid, signal.SIGINT)
        wait_until(lambda: not build.step_runs(), 30, "the build step's process went on")
        wait_until(lambda: build.outcome()[0] == "failed", 30, "the build stayed pending")
        build.pushing.communicate(timeout=10)


def test_a_push_that_waits_is_deployed_after_the_one_before_it(shop: Shop) -> None:
    """Bites: `_put_branch_back` not called: git refuses to move a branch that is not where the pusher saw it."""
    version = int(shop.served()[1:])
    procfile = (shop.shell.cwd / "Procfile").read_text()
    waiting = "timeout 60 sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done'"
    shop.shell.commit("First", {"Procfile": f"release: {waiting}\n{procfile}"})
    with push(shop) as first:
        wait_until(lambda: shop.call("GET", f"/releases/{version + 1}")[0] == 200, 60, "no release")
        refused = shop.shell.run("git", "push", "paasd", "HEAD~2:refs/heads/main", "--force", ok=False)
        assert "owner@localhost has been pushing to queue since" in refused
        assert "(stage: releasing)" in refused
        sha = shop.shell.commit("Second", {"Procfile": procfile})
        with push(shop, "-o", "queue") as second:
            assert second.stdout is not None
            said = ""
            while "Waiting: owner@localhost has been pushing to queue" not in said:
                line = second.stdout.readline()
                assert line, said
                said += line
            [release] = [name for name in shop.containers() if ".release." in name]
            docker("exec", release, "touch", "/tmp/go")
            said += second.communicate(timeout=90)[0]
        first.communicate(timeout=10)
    assert (first.returncode, second.returncode) == (0, 0), said
    assert shop.served() == f"v{version + 2}"
    assert shop.branch() == sha
