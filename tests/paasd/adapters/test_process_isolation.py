"""What one app can't do to another, to the daemon or to the machine: on real processes."""

import asyncio
import json
import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.domain.dyno import DynoKind, Exit, Limits
from paasd.domain.errors import BuildFailed, EngineUnavailable
from paasd.domain.slug import SlugRecipe
from paasd.ports import BuildSpec
from tests.contracts.engines import SLEEP, eventually
from tests.paasd.adapters.conftest import bench, many, none, running

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
async def test_a_build_sees_neither_the_home_nor_another_app(home: Path, settings: ProcessSettings) -> None:
    """Bites: a build's commands run as the daemon: a setup.py would read its token, and every app's files."""
    (home / "token").write_text("secret")
    (home / "token").chmod(0o600)
    source = home.parent / "source"
    await asyncio.to_thread(source.mkdir)
    await asyncio.to_thread((source / "private").write_text, "secret")
    async with ProcessEngine("7e57ab1e", home, settings) as engine:

        async def build(*commands: str) -> tuple[str, str]:
            app, said = str(uuid.uuid4()), bytearray()

            async def keep(data: bytes) -> None:
                said.extend(data)

            recipe = BuildSpec(app, str(uuid.uuid4()), f"paasd/{app}:b-1", "", slug=SlugRecipe(commands=commands))
            await engine.build(source, recipe, keep)
            return app, said.decode()

        other, _ = await build("true")
        apps = home / "process/apps" / other
        (layer,) = await asyncio.to_thread(lambda: list((apps / "layers").iterdir()))
        tries = "; ".join(f"cat {path} 2>/dev/null && echo seen" for path in (home / "token", layer / "private"))
        tries += "".join(
            f"; ls {path} 2>/dev/null && echo seen" for path in (apps / "cache", home / "process/artifacts")
        )
        _, told = await build(f"{tries}; touch {layer}/planted 2>/dev/null && echo seen; echo uid $(id -u)")
        lines = told.split("\n")
        assert not {"seen", "secret"} & set(lines), lines
        assert int(next(line for line in lines if line.startswith("uid ")).split()[1]) >= 1_000_000
        assert not await asyncio.to_thread((layer / "planted").exists)


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
        other = await engine.start(bench(engine, str(uuid.uuid4())).spec(SLEEP))
        hog = "exec python3 -c 'x = [bytes(range(256)) * (1 << 16) for _ in range(640)]; print(len(x))'"  # 10 GB
        spec = bench(engine).spec(hog, limits=Limits(memory=64 << 20))
        await engine.start(spec)
        ending = await engine.wait(spec.id)
        assert ending == Exit(137, signal=9, oom=True)
        assert [each.id for each in await engine.dynos() if each.running] == [other.id]


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
    secret = f"canary-{uuid.uuid4().hex}"  # no other test's dynos have it
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
