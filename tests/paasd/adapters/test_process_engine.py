"""What outlives a daemon, what goes with a dyno, and what one app can't do to another: on real processes."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.adapters.process_slugs import MACHINE
from paasd.adapters.process_tree import start_ticks
from paasd.domain.dyno import Dyno, DynoKind, DynoSpec, DynoState, Exit, Limits
from paasd.domain.errors import BuildFailed, EngineUnavailable
from paasd.domain.slug import SlugRecipe
from paasd.ports import BuildSpec, Change
from tests.contracts.engines import PROCESS, SLEEP, Bench, eventually, make_home

# A tree that wants to stay: in a session of its own, without its parent, deaf to SIGTERM.
HIDES = "(setsid sh -c 'trap \"\" TERM; sleep 7731 & wait; sleep 7731' &) ; sleep 0.1"
TICKS = "i=0; while :; do echo tick $((i=i+1)); sleep 0.05; done"


@pytest.fixture(params=[PROCESS, "bare"])
def settings(request: pytest.FixtureRequest) -> ProcessSettings:
    return ProcessSettings(os.environ["PATH"], bwrap=request.param == "process")


@pytest.fixture
async def home() -> AsyncIterator[Path]:
    """A home whose dynos are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        made = await asyncio.to_thread(make_home, name)
        yield made
        async with ProcessEngine("7e57ab1e", made) as engine:
            await asyncio.gather(*(engine.stop(dyno.id, grace=0) for dyno in await engine.dynos()))


def bench(engine: ProcessEngine, app_id: str = "3f0c7a52-5f0d-4d39-9f3c-0d3f7a52bbbb") -> Bench:
    async def make(spec: DynoSpec) -> None:
        engine.create(spec)

    return Bench(engine, MACHINE, app_id, "process", make)


async def running(words: bytes) -> list[int]:
    """Processes with these words in their command."""

    def look() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if words in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    return await asyncio.to_thread(look)


async def lines(engine: ProcessEngine, dyno: Dyno, since: datetime | None = None) -> list[str]:
    return [text async for _, text in engine.logs(dyno.id, since=since)]


# --- daemons come and go ----------------------------------------------------------------------------------------------


async def test_the_next_daemon_takes_dynos_over_as_they_are(home: Path, settings: ProcessSettings) -> None:
    """Bites: a dyno of the daemon before taken for ended; its lines of the time between read twice, or not at all."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        spec = bench(engine).spec(TICKS, port=5000)
        dyno = await engine.start(spec)
        seen: list[tuple[datetime, str]] = []
        async for line in engine.logs(dyno.id):
            seen.append(line)
            if len(seen) == 3:
                break
    await asyncio.sleep(0.2)  # nobody is there
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        assert list(await engine.dynos()) == [dyno]
        assert await engine.start(spec) == dyno
        async for line in engine.logs(dyno.id, since=seen[-1][0]):
            seen.append(line)
            if len(seen) == 20:
                break
        assert [text for _, text in seen] == [f"tick {number}" for number in range(1, 21)]
        changes, waiting = engine.changes(), asyncio.ensure_future(engine.wait(dyno.id))
        how = await engine.stop(dyno.id, grace=5)
        assert how is not None
        assert await waiting == how
        async with asyncio.timeout(10):
            assert await anext(changes) == Change(dyno.app_id, dyno.name)


async def test_how_a_dyno_ended_while_nobody_was_there_is_known(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        made = await engine.start(bench(engine).spec("echo begun; sleep 0.3; echo bye; exit 5"))
    exit_file = home / "process" / "dynos" / made.id / "exit.json"
    await eventually(lambda: asyncio.to_thread(exit_file.exists))
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        (found,) = [each for each in await engine.dynos() if each.id == made.id]
        assert (found.state, found.exit, found.started_at) == (DynoState.CRASHED, Exit(5), made.started_at)
        assert await engine.wait(made.id) == Exit(5)
        assert await lines(engine, made) == ["begun", "bye"]


@pytest.mark.parametrize("away", [False, True])
async def test_a_dyno_whose_supervisor_was_killed_is_gone_with_it(
    home: Path, settings: ProcessSettings, away: bool
) -> None:
    """Bites: a tree that nobody holds any more, which would serve beside the dyno that takes its place."""
    engine = await ProcessEngine("7e57ab1e", home, settings).__aenter__()
    dyno = await engine.start(bench(engine).spec("sleep 7732"))
    await eventually(lambda: running(b"sleep\x007732"))
    ran = json.loads(await asyncio.to_thread((home / "process/dynos" / dyno.id / "run.json").read_text))
    if away:
        await engine.__aexit__()
    os.kill(ran["supervisor"], signal.SIGKILL)
    if away:
        await eventually(lambda: asyncio.to_thread(ended, ran["supervisor"]))
        engine = await ProcessEngine("7e57ab1e", home, settings).__aenter__()
    assert await engine.wait(dyno.id) == Exit(137, signal=9)
    (found,) = await engine.dynos()
    assert found.state is DynoState.CRASHED
    await eventually(lambda: none(running(b"sleep\x007732")))
    await engine.__aexit__()


async def test_a_process_that_got_a_supervisors_number_is_not_taken_for_it(home: Path) -> None:
    """Bites: the number alone looked at; then `stop` sends its signals to whoever has it now."""
    async with ProcessEngine("7e57ab1e", home) as engine:
        dyno = await engine.start(bench(engine).spec(SLEEP))
        folder = home / "process" / "dynos" / dyno.id
    ran = json.loads(await asyncio.to_thread((folder / "run.json").read_text))
    changed = json.dumps({**ran, "supervisor": os.getpid(), "ticks": start_ticks(os.getpid()) - 1})
    await asyncio.to_thread((folder / "run.json").write_text, changed)
    async with ProcessEngine("7e57ab1e", home) as engine:
        (found,) = await engine.dynos()
        assert found.exit == Exit(137, signal=9)
    os.kill(ran["supervisor"], signal.SIGUSR1)


async def test_a_killed_zygote_is_replaced_and_its_supervisors_go_on(home: Path, settings: ProcessSettings) -> None:
    """Bites: every start after it refused, until the daemon is started again."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        first = await engine.start(bench(engine).spec(SLEEP))
        zygote = engine._launcher._zygote
        assert zygote is not None
        os.kill(zygote.pid, signal.SIGKILL)
        second = await engine.start(bench(engine).spec(SLEEP))
        assert {each.id for each in await engine.dynos() if each.running} == {first.id, second.id}
        assert await engine.stop(first.id, grace=5) is not None
    assert engine._launcher._zygote is not None
    assert await asyncio.to_thread(ended, engine._launcher._zygote.pid), "it did not end with its daemon"


async def test_starts_that_are_cancelled_leave_nothing_and_hinder_none(home: Path, settings: ProcessSettings) -> None:
    """Bites: the answer to a cancelled request taken for that to the next; a dyno that nobody asked for any more."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        for turns in range(12):  # from the first step to the last: a cancellation in each place that waits
            start = asyncio.ensure_future(engine.start(bench(engine).spec("sleep 7734")))
            for _ in range(turns):
                await asyncio.sleep(0)
            start.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await start
        starts = [engine.start(bench(engine).spec("sleep 7735")) for _ in range(5)]
        dynos = await asyncio.gather(*starts)
        assert len({dyno.port or dyno.id for dyno in dynos}) == 5
        await asyncio.gather(*(engine.stop(each.id, grace=0) for each in await engine.dynos()))
        await eventually(lambda: none(running(b"sleep\x007734")))


# --- trees ------------------------------------------------------------------------------------------------------------


async def test_stopping_a_dyno_ends_all_that_it_started(home: Path, settings: ProcessSettings) -> None:
    """Bites: a signal to the process group alone, which who calls setsid has left."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        dyno = await engine.start(bench(engine).spec(f"{HIDES}; sleep 600"))
        await eventually(lambda: running(b"sleep\x007731"))
        await engine.stop(dyno.id, grace=0.2)
        assert await running(b"sleep\x007731") == []


async def test_a_dyno_that_ends_takes_all_that_it_started_along(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        dyno = await engine.start(bench(engine).spec(f"{HIDES}; exit 4"))
        assert await engine.wait(dyno.id) == Exit(4)
        assert await running(b"sleep\x007731") == []


async def test_a_dyno_has_its_grace_after_sigterm(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        program = "trap 'sleep 0.3; echo done in time; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        dyno = await engine.start(bench(engine).spec(program))
        reading = asyncio.ensure_future(lines(engine, dyno))
        await eventually(lambda: asyncio.to_thread(has, home / "process/dynos" / dyno.id / "log", b"ready"))
        await engine.stop(dyno.id, grace=20)
        assert "done in time" in await reading


# --- bounds -----------------------------------------------------------------------------------------------------------

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="users and cgroups of apps' own need root")


@as_root
async def test_an_app_sees_neither_the_home_nor_another_app_nor_its_processes(
    home: Path, settings: ProcessSettings
) -> None:
    """Bites: without a user of its own (or its sandbox) each of these can be read."""
    (home / "token").write_text("secret")
    (home / "token").chmod(0o600)
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        other = bench(engine, str(uuid.uuid4()))
        victim = await engine.start(other.spec("sleep 600", env={"PASSWORD": "hunter2"}))
        place = home / "process" / "dynos" / victim.id
        await asyncio.to_thread((place / "app" / "private").write_text, "secret")
        ran = json.loads(await asyncio.to_thread((place / "run.json").read_text))
        targets = [
            home / "token",
            home,
            home / "process/dynos",
            place / "app/private",
            place / "dyno.json",
            place / "log",
        ]
        targets += [Path(f"/proc/{ran['child']}/environ"), Path(f"/proc/{ran['supervisor']}/environ")]
        attempts = "; ".join(
            f"cat {path} 2>/dev/null && echo read; ls {path} 2>/dev/null && echo seen" for path in targets
        )
        attempts += f"; kill -9 {ran['child']} {ran['supervisor']} 2>/dev/null && echo killed; echo tried; id -u"
        spec = bench(engine).spec(attempts, kind=DynoKind.ONE_OFF)
        terminal = await engine.attach(spec)
        said = b"".join([chunk async for chunk in terminal.output()]).decode().split()
        await terminal.close()
        # in its own PID namespace a number may be one of its own: then nothing of the victim was killed
        assert [word for word in said if word in ("read", "secret", "hunter2")] == []
        assert said[-2] == "tried"
        assert int(said[-1]) >= 1_000_000
        assert [each.id for each in await engine.dynos() if each.running] == [victim.id]


@pytest.mark.bubblewrap
async def test_in_a_sandbox_there_is_no_home_at_all(home: Path) -> None:
    """Bites: the whole system shown, where only the modes of files keep an app from the home; and, to one who is not
    root, nothing does."""
    async with ProcessEngine("7e57ab1e", home, ProcessSettings(os.environ["PATH"])) as engine:
        (home / "token").touch()
        look = f"test -e {home}/token || echo unseen; test -w /usr || test -w / || echo read-only"
        command = f"{look}; ls /proc | grep -c '^[0-9]'"
        terminal = await engine.attach(bench(engine).spec(command, kind=DynoKind.ONE_OFF))
        said = b"".join([chunk async for chunk in terminal.output()]).decode().split()
        await terminal.close()
        assert said[:2] == ["unseen", "read-only"]
        assert int(said[2]) < 8


@as_root
@pytest.mark.skipif(shutil.which("iptables") is None, reason="iptables is not installed (apt-get install iptables)")
async def test_neither_dynos_nor_builds_reach_the_api(home: Path, settings: ProcessSettings) -> None:
    """Bites: the rule left out; a build's setup.py could try tokens on the API, as fast as it answers."""
    await asyncio.to_thread((home.parent / "source").mkdir)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    knock = f'python3 -c \'import socket; socket.create_connection(("127.0.0.1", {port}), 5); print("reached")\' 2>&1'
    engine = ProcessEngine(uuid.uuid4().hex[:8], home, replace(settings, api=port))
    async with server, engine:
        assert await said(engine, knock) == "reached"
        assert str(await engine._firewall.problem()).endswith("; start paasd.")
        try:
            await engine.guard()
            await engine.guard()
            assert await engine._firewall.problem() is None
            assert "refused" in await said(engine, knock)
            _, writer = await asyncio.open_connection("127.0.0.1", port)  # we do
            writer.close()
            with pytest.raises(BuildFailed):
                recipe = BuildSpec("shop", str(uuid.uuid4()), "paasd/shop:b-1", "", slug=SlugRecipe(commands=(knock,)))
                await engine.build(home.parent / "source", recipe, swallow)
        finally:
            await engine.unguard()


async def said(engine: ProcessEngine, command: str) -> str:
    """The last line of what a one-off dyno prints."""
    terminal = await engine.attach(bench(engine).spec(command, kind=DynoKind.ONE_OFF))
    try:
        return b"".join([chunk async for chunk in terminal.output()]).decode().strip().rpartition("\n")[2]
    finally:
        await terminal.close()


async def swallow(_: bytes) -> None:
    """A log that nobody reads."""


@as_root
async def test_a_home_that_apps_can_not_come_to_is_said(home: Path) -> None:
    """Bites: a dyno that ends with `Permission denied`, and nobody knows of what."""
    await asyncio.to_thread(home.parent.chmod, 0o700)
    bare = ProcessSettings(os.environ["PATH"], bwrap=False)
    async with ProcessEngine("7e57ab1e", home, bare) as engine:
        with pytest.raises(EngineUnavailable, match=f"can't pass through {home.parent} .* choose another --home"):
            await engine.start(bench(engine).spec(SLEEP))
        assert any(str(home.parent) in problem for problem in (await engine.info()).problems)
        assert not await engine.dynos()


@as_root
async def test_a_dyno_that_takes_too_much_memory_is_killed_and_says_so(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        hog = "exec python3 -c 'x = bytearray(300 << 20); print(len(x))'"
        spec = bench(engine).spec(hog, limits=Limits(memory=64 << 20))
        await engine.start(spec)
        ending = await engine.wait(spec.id)
        assert ending == Exit(137, signal=9, oom=True)


@as_root
@pytest.mark.slow  # it keeps a processor busy, and dies as slowly as it gets one
async def test_a_fork_bomb_harms_nobody_else_and_can_be_stopped(home: Path, settings: ProcessSettings) -> None:
    """Bites: killed one by one while they fork; without a bound the machine stands still."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        other = await engine.start(bench(engine, str(uuid.uuid4())).spec(SLEEP))
        bomb = "python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'"
        spec = bench(engine).spec(bomb, limits=Limits(cpus=1.0, pids=40))
        dyno = await engine.start(spec)
        await eventually(lambda: many(running(b"import os\nwhile True")))
        assert len(await running(b"import os\nwhile True")) <= 40
        await engine.stop(dyno.id, grace=0.2)
        await eventually(lambda: none(running(b"import os\nwhile True")))
        assert [each.id for each in await engine.dynos() if each.running] == [other.id]


@as_root
async def test_no_privilege_can_be_won_back(home: Path, settings: ProcessSettings) -> None:
    """Bites: no_new_privs left out: then su, mount and their like are ways to root."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        command = "grep -E '^(NoNewPrivs|CapEff|CapPrm|Groups|Uid):' /proc/self/status"
        terminal = await engine.attach(bench(engine).spec(command, kind=DynoKind.ONE_OFF))
        said = b"".join([chunk async for chunk in terminal.output()]).decode()
        await terminal.close()
        found = dict(line.split(":", 1) for line in said.splitlines())
        assert found["NoNewPrivs"].strip() == "1"
        assert {found["CapEff"].strip(), found["CapPrm"].strip()} == {"0" * 16}
        assert found["Groups"].split() in ([], [found["Uid"].split()[0]])


async def test_secrets_are_in_no_file_no_argv_and_nobodys_environment_but_the_commands(
    home: Path, settings: ProcessSettings
) -> None:
    """Bites: the environment handed on by --setenv, or kept in dyno.json for the next start."""
    secret = "canary-7f3a9b51c2"
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        dyno = await engine.start(bench(engine).spec("sleep 7733", env={"SECRET": secret}))
        await eventually(lambda: running(b"sleep\x007733"))
        holders = await asyncio.to_thread(holding, secret.encode())
        names = {name for _, name, _ in holders}
        assert names == {"environ"}, holders
        assert {program for _, _, program in holders} <= {b"/bin/sh", b"sleep"}
        assert await asyncio.to_thread(files_with, home, secret.encode()) == []
        await engine.stop(dyno.id, grace=0)


async def test_what_a_config_var_preloads_never_meets_a_step_before_the_command(
    home: Path, settings: ProcessSettings
) -> None:
    """Bites: the app's environment given to bubblewrap: LD_PRELOAD would run the app's code as root."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        env = {"LD_PRELOAD": "/nonexistent/evil.so", "PYTHONPATH": "/nonexistent", "PYTHONSTARTUP": "/nonexistent"}
        terminal = await engine.attach(bench(engine).spec("echo ran", kind=DynoKind.ONE_OFF, env=env))
        said = b"".join([chunk async for chunk in terminal.output()]).decode()
        await terminal.close()
        # the loader complains once for each program that it starts with this environment: the shell is the only one
        assert said.count("cannot be preloaded") == 1
        assert said.splitlines()[-1] == "ran"


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def has(path: Path, words: bytes) -> bool:
    return path.exists() and words in path.read_bytes()


def holding(secret: bytes) -> list[tuple[int, str, bytes]]:
    """(process, "environ" or "cmdline", program) of each that shows it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                if int(path.name) != os.getpid() and secret in (path / name).read_bytes():
                    found.append((int(path.name), name, (path / "cmdline").read_bytes().split(b"\0")[0]))
            except OSError:
                continue
    return found


def files_with(folder: Path, words: bytes) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if words in path.read_bytes()]


async def none(found: Awaitable[list[int]]) -> bool:
    return not await found


async def many(found: Awaitable[list[int]]) -> bool:
    return len(await found) > 20
