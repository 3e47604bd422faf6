"""What is Docker's own among the engine's promises: walls round a dyno, two homes on one engine."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.probe import NetworkProbe
from paasd.domain.dyno import DynoKind, Exit, Limits
from paasd.domain.errors import Conflict, DynoUnhealthy
from paasd.ports import BuildSpec, Change
from tests.contracts.engines import SERVE, SLEEP, STACK, Bench, docker, docker_bench, eventually
from tests.leftovers import remove_labelled

pytestmark = pytest.mark.docker

MiB = 1024 * 1024


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with asyncio.timeout(120), docker_bench() as bench:
        yield bench


async def forget(data: bytes) -> None:
    """A Write that keeps nothing."""


def inspect(name: str) -> dict[str, Any]:
    found = json.loads(docker("inspect", name).stdout)
    return dict(found[0])


async def output_of(bench: Bench, command: str, **more: Any) -> bytes:
    terminal = await bench.engine.attach(bench.spec(command, kind=DynoKind.ONE_OFF, **more))
    try:
        return b"".join([chunk async for chunk in terminal.output()])
    finally:
        await terminal.close()


# --- walls ------------------------------------------------------------------------------------------------------------


async def test_a_dyno_gets_nothing_of_the_host_and_everything_bounded(bench: Bench) -> None:
    spec = bench.spec(SLEEP, port=5000, limits=Limits(memory=64 * MiB, cpus=0.5, pids=50, open_files=1000))
    await bench.engine.start(spec)
    host = inspect(spec.id)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not host["PortBindings"]
    assert host["NetworkMode"].startswith("paasd-")
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"], host["NanoCpus"]) == (
        64 * MiB,
        64 * MiB,
        50,
        500_000_000,
    )
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": 1000, "Soft": 1000}]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    assert host["Init"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert not inspect(spec.id)["Mounts"]


async def test_a_dyno_carries_its_story_in_labels(bench: Bench) -> None:
    spec = bench.spec(SLEEP, port=5000, env={"SECRET": "hush"})
    await bench.engine.start(spec)
    marks = inspect(spec.id)["Config"]["Labels"]
    of_image = ("paasd.stack", "paasd.local", "paasd.python", "paasd.node")
    assert {name: value for name, value in marks.items() if name not in of_image} == {
        "paasd.home": bench.home,
        "paasd.size": "Standard-1X",
        "paasd.app": bench.app_id,
        "paasd.release": spec.release_id,
        "paasd.version": "4",
        "paasd.dyno": "web.1",
        "paasd.kind": "formation",
        "paasd.id": spec.id,
        "paasd.port": "5000",
        "paasd.command": SLEEP,
    }
    assert "hush" not in json.dumps(marks)


async def test_a_dyno_has_no_capabilities_and_gains_none(bench: Bench) -> None:
    status = await output_of(bench, "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status")
    assert dict(line.split(":\t") for line in status.decode().splitlines()) == {
        "CapEff": "0000000000000000",
        "CapBnd": "0000000000000000",
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }


ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may see and set firewall rules"
)
ASK = """
import socket, sys
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), timeout=2)
        print(port, "open")
    except OSError as error:
        print(port, type(error).__name__)
"""


@ROOT
async def test_a_dyno_is_reached_from_the_host_but_cannot_reach_the_host(bench: Bench) -> None:
    await bench.engine.guard()
    assert not [problem for problem in (await bench.engine.info()).problems if "gateway" in problem]
    dyno = await bench.engine.start(bench.spec(SERVE, port=5000))
    assert dyno.address is not None
    probe, address = NetworkProbe(), dyno.address

    async def serves() -> bool:
        return (await probe.check(address, 5000, "/")).healthy

    await eventually(serves)
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        gateway = inspect(dyno.id)["NetworkSettings"]["Networks"]
        target = next(iter(gateway.values()))["Gateway"]
        assert (await probe.check(target, port, None)).healthy  # from the host itself it is open
        ask = f"import socket; socket.create_connection(('{target}', {port}), timeout=2)"
        said = await output_of(bench, f'python3 -c "{ask}" 2>&1 | tail -1')
    assert b"timed out" in said


@ROOT
@pytest.mark.parametrize("buildkit", [True, False])
async def test_a_build_cannot_reach_the_host_but_its_resolver(tmp_path: Path, buildkit: bool) -> None:
    async with docker_bench(DockerSettings(buildkit=buildkit)) as bench:
        await bench.engine.guard()
        gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge").stdout.strip()
        gateway = gateway or docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge").stdout
        target = str(next(ip_network(gateway.strip(), strict=False).hosts())) if "/" in gateway else gateway
        listening = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            assert (await NetworkProbe().check(target, port, None)).healthy
            (tmp_path / "ask.py").write_text(ASK)
            dockerfile = f"FROM {STACK}\nCOPY ask.py .\nRUN python3 ask.py {target} {port} 53\n"
            said = bytearray()

            async def keep(data: bytes) -> None:
                said.extend(data)

            await bench.engine.build(tmp_path, BuildSpec(bench.app_id, "b1", f"t/{bench.home}:g", dockerfile), keep)
    assert f"{port} TimeoutError".encode() in said
    assert b"53 TimeoutError" not in said  # refused or answered: the packet came through


@ROOT
async def test_an_engines_guard_closes_what_its_info_would_tell_of(bench: Bench) -> None:
    await bench.engine.guard()
    assert not [problem for problem in (await bench.engine.info()).problems if "gateway" in problem]


# --- starting ---------------------------------------------------------------------------------------------------------


async def test_the_images_own_command_runs_where_none_is_given(bench: Bench, tmp_path: Path) -> None:
    dockerfile = f'FROM {STACK}\nENTRYPOINT ["/bin/echo", "entry"]\nCMD ["cmd"]\n'
    recipe = BuildSpec(bench.app_id, "b1", f"paasd-test/{bench.home}:own", dockerfile)
    artifact = (await bench.engine.build(tmp_path, recipe, forget)).name
    terminal = await bench.engine.attach(bench.spec(None, artifact=artifact))
    assert b"".join([chunk async for chunk in terminal.output()]) == b"entry cmd\n"
    await terminal.close()
    assert await output_of(bench, "echo mine", artifact=artifact) == b"mine\n"


async def test_an_image_without_a_command_or_a_shell_is_unhealthy(bench: Bench, tmp_path: Path) -> None:
    recipe = BuildSpec(bench.app_id, "b1", f"paasd-test/{bench.home}:bare", "FROM scratch\nCOPY . .\n")
    (tmp_path / "file").touch()
    artifact = (await bench.engine.build(tmp_path, recipe, forget)).name
    with pytest.raises(DynoUnhealthy, match=r"web\.1 can't start: .*correct the Dockerfile\.$"):
        await bench.engine.start(bench.spec(None, artifact=artifact))
    assert not await bench.engine.dynos()
    spec = bench.spec("echo hello", artifact=artifact)
    await bench.engine.start(spec)  # its init runs, and says in the log that there is no shell
    assert await bench.engine.wait(spec.id) == Exit(127)
    assert ["/bin/sh" in text async for _, text in bench.engine.logs(spec.id)] == [True]


async def test_what_is_run_of_an_image_by_hand_is_no_dyno(bench: Bench, tmp_path: Path) -> None:
    recipe = BuildSpec(bench.app_id, "b1", f"paasd-test/{bench.home}:hand", f"FROM {STACK}\n")
    artifact = (await bench.engine.build(tmp_path, recipe, forget)).name
    assert docker("run", "--detach", "--network", "none", artifact, "sleep", "60").returncode == 0
    assert not await bench.engine.dynos()


async def test_sigterm_reaches_what_a_shell_runs(bench: Bench) -> None:
    inner = "import signal, sys; signal.signal(15, lambda *_: sys.exit(42)); print('up', flush=True); signal.pause()"
    spec = bench.spec(f'true && python3 -c "{inner}"; exit $?')
    await bench.engine.start(spec)
    async for _, text in bench.engine.logs(spec.id):
        assert text == "up"
        break
    waiting = asyncio.create_task(bench.engine.wait(spec.id))
    began = asyncio.get_running_loop().time()
    await bench.engine.stop(spec.id, grace=20)
    await waiting
    assert asyncio.get_running_loop().time() - began < 10


async def test_too_much_memory_is_told(bench: Bench) -> None:
    spec = bench.spec("python3 -c 'x = bytearray(200 << 20)'", limits=Limits(memory=32 * MiB))
    await bench.engine.start(spec)
    assert await bench.engine.wait(spec.id) == Exit(137, 9, oom=True)


async def test_a_lost_network_is_made_anew(bench: Bench) -> None:
    await bench.engine.remove_network(bench.app_id)
    dyno = await bench.engine.start(bench.spec(SLEEP))
    assert dyno.address is not None


async def test_ports_are_published_on_loopback_where_addresses_are_out_of_reach() -> None:
    async with docker_bench(DockerSettings(publish_ports=True)) as bench:
        info = await bench.engine.info()
        assert not info.addresses_reachable
        assert any("127.0.0.1" in problem for problem in info.problems)
        spec = bench.spec(SERVE, port=5000)
        dyno = await bench.engine.start(spec)
        assert dyno.address == "127.0.0.1"
        assert dyno.port not in (None, 5000)
        port = dyno.port or 0

        async def serves() -> bool:
            return (await NetworkProbe().check("127.0.0.1", port, "/")).healthy

        await eventually(serves)
        assert ("0.0.0.0", 5000) in await bench.engine.listeners(spec.id)
        assert list(await bench.engine.dynos()) == [dyno]


# --- two homes --------------------------------------------------------------------------------------------------------


async def test_another_home_sees_and_touches_nothing_of_this_one(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec(SLEEP)
    await bench.engine.start(spec)
    await bench.engine.build(
        tmp_path, BuildSpec(bench.app_id, "b1", f"paasd-test/{bench.home}:x", f"FROM {STACK}\n"), forget
    )
    async with docker_bench() as other:
        assert not await other.engine.dynos()
        assert not await other.engine.artifacts()
        with pytest.raises(Conflict, match="not this paasd's"):
            await other.engine.start(replace(spec, app_id=other.app_id))
        await other.engine.remove_network(bench.app_id)
        await other.engine.start(other.spec(SLEEP))
    (dyno,) = await bench.engine.dynos()
    assert dyno.running


@pytest.mark.slow
async def test_forty_apps_have_a_network_each(bench: Bench) -> None:
    apps = [str(uuid.uuid4()) for _ in range(40)]
    await asyncio.gather(*(bench.engine.create_network(app) for app in apps))
    names = docker("network", "ls", "-q", "--filter", f"label=paasd.home={bench.home}").stdout.split()
    assert len(names) == 41
    subnets = {inspect(name)["IPAM"]["Config"][0]["Subnet"] for name in names}
    assert len(subnets) == 41
    assert all(subnet.startswith("10.213.") and subnet.endswith("/26") for subnet in subnets)


def test_cleaning_up_a_home_that_has_nothing_is_fine() -> None:
    remove_labelled("nobody")


async def test_a_process_killed_for_memory_is_told_though_its_dyno_goes_on(bench: Bench) -> None:
    """Bites: with `oom` left out of the events' NAMES."""
    limits = Limits(memory=32 * MiB)
    spec = bench.spec("python3 -c 'bytearray(100_000_000)'; echo went on; sleep 600", limits=limits)
    changes = bench.engine.changes()
    await bench.engine.start(spec)
    async with asyncio.timeout(60):
        async for change in changes:
            if change.out_of_memory:
                break
    assert change == Change(bench.app_id, spec.name, out_of_memory=True)
    async for _, text in bench.engine.logs(spec.id):
        if text == "went on":
            break
    [dyno] = await bench.engine.dynos()
    assert dyno.running and dyno.exit is None
