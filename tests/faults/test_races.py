"""C01: two who change one app at the same instant: each is carried out whole, in some order, or told to come again.

The recorded history of every call is read by the checker, which knows what some order of them gives.

Bites: a lock of its own in place of the app's in Releases._take_turn: a first push is taken for a stray and stopped,
and of fifty config changes some are refused.
"""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import Shell, alone, wait_until
from tests.faults.checker import End, check
from tests.faults.history import RecordedDaemon
from tests.faults.test_crash import orphans

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

Record = Callable[[str, object], None]
T = TypeVar("T")
Answer = tuple[int, Any]

ROUNDS = 4
SETS = 50
CONFIG_ROUNDS = 10
TITLE = "pushes, rollbacks, config changes, a rename, a destruction of one app at the same instant"
BUSY = re.compile(
    r"has been pushing to|is under way|try again|[Pp]ush again|fetch first|stale info|failed to lock|find that app"
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[RecordedDaemon]:
    with alone(RecordedDaemon, {"deploy": {"wait": 30.0, "grace": 1.0, "drain": 1.0}}) as daemon:
        yield daemon


@pytest.fixture
def shop(daemon: RecordedDaemon, tmp_path: Path, turn_name: str) -> Shop:
    """A new app that serves v2."""
    shop = open_shop(daemon, tmp_path / "shop", turn_name)
    shop.deploy()
    return shop


@pytest.fixture
def turn_name() -> str:
    """One that no app of this run has had."""
    return f"race-{time.monotonic_ns() % 10**12}"


def at_once(*works: Callable[[], T]) -> list[T]:
    """What each returns; all begin at the same instant. Nothing here takes a minute but what is stuck."""
    barrier, results = threading.Barrier(len(works)), {}

    def work(place: int, one: Callable[[], T]) -> None:
        barrier.wait(30)
        results[place] = one()

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(results) == len(works), f"{len(works) - len(results)} of {len(works)} came to no end"
    return [results[place] for place in range(len(works))]


def push(shop: Shop, shell: Shell) -> Callable[[], Answer]:
    """A push of what is committed there: (200, its words) or (409, its words)."""

    def pushing() -> Answer:
        code, said = shell.attempt("git", "push", "--force", "paasd", "HEAD:main")
        return (409 if code else 200), said

    return pushing


def call(shop: Shop, method: str, path: str, body: object) -> Callable[[], Answer]:
    return lambda: shop.call(method, path, body)


def told(answers: Sequence[Answer]) -> None:
    """At least one is carried out, and who was not is told that another was before."""
    assert any(status < 300 for status, _ in answers), answers
    for status, said in answers:
        assert status < 300 or (status == 409 and BUSY.search(str(said))), (status, said)


def consistent(shop: Shop) -> None:
    """All is quiet, the next write is answered, what is served is current, and the checker has nothing to say."""
    daemon = shop.daemon
    assert isinstance(daemon, RecordedDaemon)
    wait_until(lambda: not pending(shop), 30, "a release or a build stays pending")
    began = time.monotonic()
    assert shop.call("PATCH", "", {"maintenance": False})[0] == 200
    assert time.monotonic() - began < 30, "a lock stayed"
    status, page = shop.get()
    end = End(
        releases=tuple(shop.call("GET", "/releases")[1]),
        config=shop.call("GET", "/config-vars")[1],
        maintenance=False,
        served=int(page["release"][1:]) if status == 200 and isinstance(page, Mapping) else None,
    )
    assert [line for line in check(daemon.history, {shop.name: end}) if line.startswith(shop.name)] == []


def pending(shop: Shop) -> bool:
    releases, builds = shop.call("GET", "/releases")[1], shop.call("GET", "/builds")[1]
    return any(entry["status"] == "pending" for entry in [*releases, *builds])


def second_shell(shop: Shop, directory: Path) -> Shell:
    """The same owner in another copy of the repository."""
    shutil.copytree(shop.shell.cwd, directory)
    return Shell(shop.shell.home, directory, shop.shell.env)


def changed(shell: Shell, mark: object) -> None:
    shell.commit("A change", {"Procfile": f"{PROCFILE}# {mark}\n"})


@pytest.mark.row("C01", TITLE)
def test_c01_two_pushes(shop: Shop, tmp_path: Path, record_property: Record) -> None:
    other = second_shell(shop, tmp_path / "other")
    for number in range(ROUNDS):
        changed(shop.shell, f"one {number}")
        changed(other, f"other {number}")
        told(at_once(push(shop, shop.shell), push(shop, other)))
        consistent(shop)
        heads = {shell.run("git", "rev-parse", "HEAD").strip() for shell in (shop.shell, other)}
        assert shop.branch() in heads
    record_property("rounds", ROUNDS)


@pytest.mark.row("C01", TITLE)
@pytest.mark.parametrize("what", ["rollback", "config"])
def test_c01_a_push_and_another_write(shop: Shop, what: str, record_property: Record) -> None:
    for number in range(ROUNDS):
        changed(shop.shell, f"{what} {number}")
        write = call(shop, "POST", "/releases", {"release": "v2"})
        if what == "config":
            write = call(shop, "PATCH", "/config-vars", {f"K{number}": str(number)})
        answers = at_once(push(shop, shop.shell), write)
        told(answers)
        consistent(shop)
        if what == "config":
            assert answers[1][0] == 200  # it waits its turn
            assert shop.call("GET", "/config-vars")[1] == {f"K{n}": str(n) for n in range(number + 1)}
    record_property("rounds", ROUNDS)


@pytest.mark.row("C01", TITLE)
def test_c01_fifty_config_changes(daemon: RecordedDaemon, turn_name: str, record_property: Record) -> None:
    for number in range(CONFIG_ROUNDS):
        name = f"{turn_name}-{number}"
        assert daemon.call("POST", "/apps", {"name": name})[0] == 201
        path, keys = f"/apps/{name}/config-vars", {f"K{place}": f"{place}" for place in range(SETS)}
        answers = at_once(*(partial(daemon.call, "PATCH", path, {key: value}) for key, value in keys.items()))
        assert [status for status, _ in answers] == [200] * SETS
        assert daemon.call("GET", path)[1] == keys
        versions = [release["version"] for release in daemon.call("GET", f"/apps/{name}/releases")[1]]
        assert sorted(versions) == list(range(1, SETS + 2))
        assert daemon.call("DELETE", f"/apps/{name}")[0] == 200
    record_property("rounds", CONFIG_ROUNDS)


@pytest.mark.row("C01", TITLE)
def test_c01_a_rename_during_a_push(shop: Shop, record_property: Record) -> None:
    for number in range(ROUNDS):
        changed(shop.shell, f"rename {number}")
        before, after = shop.name, f"{shop.name[:20]}-{number}"
        told(at_once(push(shop, shop.shell), call(shop, "PATCH", "", {"name": after})))
        shop.name = after if shop.daemon.call("GET", f"/apps/{after}")[0] == 200 else before
        assert shop.name == after  # nobody had that name
        wait_until(lambda: not pending(shop), 30, "a release or a build stays pending")
        versions = [release["version"] for release in shop.call("GET", "/releases")[1]]
        assert sorted(versions) == list(range(1, len(versions) + 1))
        current = next(f"v{release['version']}" for release in shop.call("GET", "/releases")[1] if release["current"])
        wait_until(lambda now=current: shop.get()[0] == 200 and shop.served() == now, 30, "not served")
        assert shop.daemon.get(before)[0] == 404
        shop.shell.run("paas", "git:remote", "-a", shop.name)
    record_property("rounds", ROUNDS)


@pytest.mark.row("C01", TITLE)
def test_c01_a_destruction_during_a_push(
    daemon: RecordedDaemon, tmp_path: Path, turn_name: str, record_property: Record
) -> None:
    for number in range(ROUNDS):
        name = f"{turn_name}-{number}"
        shop = open_shop(daemon, tmp_path / name, name)
        changed(shop.shell, number)
        pushing = threading.Thread(target=push(shop, shop.shell))
        pushing.start()
        wait_until(lambda: bool(shop.call("GET", "/builds")[1]), 60, "no build")  # noqa: B023
        time.sleep(number * 0.4)  # each round another stage
        assert daemon.call("DELETE", f"/apps/{name}")[0] == 200
        pushing.join(60)
        assert not pushing.is_alive()
        assert daemon.call("GET", f"/apps/{name}")[0] == 404
        assert daemon.get(name)[0] == 404
    wait_until(lambda: orphans(daemon) == [], 60, f"left over: {orphans(daemon)}")
    record_property("rounds", ROUNDS)
