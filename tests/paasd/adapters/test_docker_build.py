"""Builds on a real engine, by BuildKit and by the classic builder."""

import asyncio
import contextlib
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.docker_api import DockerSettings
from paasd.domain.dyno import DynoKind, Exit
from paasd.domain.errors import BuildFailed
from paasd.ports import BuildSpec
from tests.contracts.engines import STACK, Bench, docker, docker_bench, eventually

pytestmark = pytest.mark.docker


@pytest.fixture(params=[True, False], ids=["buildkit", "classic"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with asyncio.timeout(150), docker_bench(DockerSettings(buildkit=request.param), network=False) as bench:
        yield bench


class Log:
    """A Write that keeps what it got, and tells when `wanted` has come."""

    def __init__(self, wanted: str = "") -> None:
        self.text = ""
        self.came = asyncio.Event()
        self._wanted = wanted

    async def __call__(self, data: bytes) -> None:
        self.text += data.decode()
        if self._wanted in self.text:
            self.came.set()


def recipe(bench: Bench, dockerfile: str, *, timeout: float = 100.0, classic: str | None = None) -> BuildSpec:
    build_id = str(uuid.uuid4())
    name = f"paasd-test/{bench.home}:b-{build_id[:8]}"
    return BuildSpec(bench.app_id, build_id, name, dockerfile, classic, timeout)


def processes(word: str) -> int:
    """How many processes of this machine have a word in their arguments (those in containers, too)."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += word.encode() in path.read_bytes()
    return found


async def test_the_log_shows_each_step_and_what_it_prints(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(f"# {uuid.uuid4()}\n")
    run = "RUN echo one; echo two >&2; sleep 0.2; printf three"
    dockerfile = f"# syntax=docker/dockerfile:1\nFROM {STACK}\nCOPY . /srv\n{run}\n"
    log = Log()
    await bench.engine.build(tmp_path, recipe(bench, dockerfile), log)
    lines = log.text.splitlines()
    assert lines[0].startswith(f"-----> FROM {STACK} (")
    assert lines[1].startswith("-----> COPY . /srv (")
    assert lines[2].startswith(f"-----> {run} (")
    assert sorted(lines[3:]) == ["       one", "       three", "       two"]


async def test_unchanged_steps_come_from_the_cache(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"{uuid.uuid4()}\n")
    (tmp_path / "app.py").write_text("one\n")
    dockerfile = f"FROM {STACK}\nCOPY requirements.txt .\nRUN sleep 1\nCOPY . .\n"
    await bench.engine.build(tmp_path, recipe(bench, dockerfile), Log())
    (tmp_path / "app.py").write_text("two\n")
    (tmp_path / "requirements.txt").touch()  # a new time is no change
    log = Log()
    await bench.engine.build(tmp_path, recipe(bench, dockerfile), log)
    marks = {line.split()[1]: line.endswith(", cached)") for line in log.text.splitlines()[1:-1]}
    assert marks == {"COPY": True, "RUN": True}
    assert not log.text.splitlines()[-1].endswith(", cached)")


async def test_an_image_is_tagged_and_labelled(bench: Bench, tmp_path: Path) -> None:
    spec = recipe(bench, f"FROM {STACK}\n")
    artifact = await bench.engine.build(tmp_path, spec, Log())
    assert artifact.name.startswith("sha256:")
    (found,) = json.loads(docker("image", "inspect", spec.name).stdout)
    assert found["Id"] == artifact.name
    labels = found["Config"]["Labels"]
    assert (labels["paasd.home"], labels["paasd.app"], labels["paasd.build"]) == (
        bench.home,
        bench.app_id,
        spec.build_id,
    )


async def test_ignored_files_stay_out_and_links_stay_links(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "kept").touch(mode=0o600)
    (tmp_path / "secret.env").touch()
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / ".dockerignore").write_text("*.env\n")
    artifact = await bench.engine.build(tmp_path, recipe(bench, f"FROM {STACK}\nCOPY . /srv\n"), Log())
    await bench.engine.create_network(bench.app_id)
    terminal = await bench.engine.attach(
        bench.spec("cd /srv && stat -c '%n %a %N' *", kind=DynoKind.ONE_OFF, artifact=artifact.name)
    )
    lines = b"".join([chunk async for chunk in terminal.output()]).decode().splitlines()
    await terminal.close()
    assert lines == ["kept 644 'kept'", "link 777 'link' -> 'kept'"]


@pytest.mark.parametrize(
    ("dockerfile", "words", "code"),
    [
        (f"FROM {STACK}\nRUN echo why && exit 3\n", r"`echo why && exit 3` exited with status 3", 3),
        ("FROM paasd/nosuch:9\n", r"The base image paasd/nosuch:9 is not on this machine .*docker pull paasd", None),
        (f"FROM {STACK}\nFOO bar\n", r"The Dockerfile can't be used: .*unknown instruction: FOO", None),
        ("", r"The Dockerfile can't be used: .*empty", None),
        (f"FROM {STACK}\nCOPY nofile /x\n", r"at `COPY nofile /x`: /?nofile is not in the source; commit it", None),
    ],
)
async def test_a_failure_is_one_sentence_with_a_remedy(
    bench: Bench, tmp_path: Path, dockerfile: str, words: str, code: int | None
) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(BuildFailed, match=words) as caught:
        await bench.engine.build(tmp_path, recipe(bench, dockerfile), Log())
    assert caught.value.exit_code == code
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    assert asyncio.get_running_loop().time() - began < 10


async def test_cancelling_stops_the_running_step(bench: Bench, tmp_path: Path) -> None:
    word = f"paasd-{uuid.uuid4()}"
    log = Log("       begun\n")
    dockerfile = f"FROM {STACK}\nRUN python3 -u -c \"import time; print('begun'); time.sleep(600)\" {word}\n"
    building = asyncio.create_task(bench.engine.build(tmp_path, recipe(bench, dockerfile), log))
    await log.came.wait()
    assert processes(word) > 0
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building

    async def ended() -> bool:
        return processes(word) == 0

    assert await eventually(ended)


async def test_a_build_that_takes_too_long_is_stopped(bench: Bench, tmp_path: Path) -> None:
    word = f"paasd-{uuid.uuid4()}"
    dockerfile = f"FROM {STACK}\nRUN python3 -c 'import time; time.sleep(600)' {word}\n"
    with pytest.raises(BuildFailed, match="longer than 2 seconds and was stopped"):
        await bench.engine.build(tmp_path, recipe(bench, dockerfile, timeout=2), Log())

    async def ended() -> bool:
        return processes(word) == 0

    assert await eventually(ended)


async def test_a_build_cannot_see_the_hosts_network(bench: Bench, tmp_path: Path) -> None:
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        ask = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)"
        with pytest.raises(BuildFailed, match="exited with status 1"):
            await bench.engine.build(tmp_path, recipe(bench, f'FROM {STACK}\nRUN python3 -c "{ask}"\n'), Log())


async def test_the_classic_builder_gets_its_own_recipe(tmp_path: Path) -> None:
    async with docker_bench(DockerSettings(buildkit=False), network=False) as bench:
        spec = recipe(bench, "FROM nosuch\nRUN --mount=type=cache,target=/c true\n", classic=f"FROM {STACK}\n")
        artifact = await bench.engine.build(tmp_path, spec, Log())
        dyno = bench.spec("true", kind=DynoKind.ONE_OFF, artifact=artifact.name)
        await bench.engine.start(dyno)
        assert await bench.engine.wait(dyno.id) == Exit(0)
        assert not (await bench.engine.info()).buildkit


async def test_the_classic_builders_steps_have_a_memory_limit(tmp_path: Path) -> None:
    bounds = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
    async with docker_bench(DockerSettings(buildkit=False, build_memory=96 * 1024 * 1024), network=False) as bench:
        log = Log()
        await bench.engine.build(tmp_path, recipe(bench, f"FROM {STACK}\nRUN {bounds} || true\n"), log)
    assert str(96 * 1024 * 1024) in log.text


async def test_secrets_are_seen_by_the_step_that_mounts_them_and_lie_in_no_layer(
    bench: Bench, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Bites: without the session BuildKit says that the secret is not found; as an argument it is in the history."""
    token = f"secret-{uuid.uuid4().hex}"
    mount = "RUN --mount=type=secret,id=TOKEN,required=true,uid=1000,mode=0400"
    digest = hashlib.sha256(token.encode()).hexdigest()
    seen = f"{mount} sha256sum /run/secrets/TOKEN && : {uuid.uuid4()}"
    wanted = replace(recipe(bench, f"FROM {STACK}\n{seen}\n"), secrets={"TOKEN": token.encode()})
    log = Log()
    if "classic" in request.node.name:
        with pytest.raises(BuildFailed, match="This engine has no BuildKit"):
            await bench.engine.build(tmp_path, wanted, log)
        return
    artifact = await bench.engine.build(tmp_path, wanted, log)
    assert digest in log.text
    assert token not in log.text + repr(wanted)
    assert (
        token
        not in docker("image", "inspect", artifact.name).stdout + docker("history", "--no-trunc", artifact.name).stdout
    )
    look = 'ls -A /run/secrets; grep -rlas "$1" / --exclude-dir=proc --exclude-dir=sys; true'
    user = ("run", "--rm", "--network=none", "-u", "0")
    assert docker(*user, artifact.name, "sh", "-c", look, "sh", token[7:]).stdout == ""
    with pytest.raises(BuildFailed, match="TOKEN has 60001 bytes"):
        await bench.engine.build(tmp_path, replace(wanted, secrets={"TOKEN": b"x" * 60_001}), log)


@pytest.mark.parametrize("whose", ["paasd-wheels", "paasd-uv-of-another", "/root/.cache"])
async def test_no_apps_own_dockerfile_reaches_the_caches_of_another(tmp_path: Path, whose: str) -> None:
    """Ours, or another app's own Dockerfile's. Bites: without `buildargs` an app plants in the wheels that all share
    whatever another then installs."""
    mount = f"RUN --mount=type=cache,id={whose},target=/x"
    nonce, other = f"FROM {STACK}\nUSER root\nENV N={uuid.uuid4()}\n", str(uuid.uuid4())
    async with asyncio.timeout(150), docker_bench(DockerSettings(buildkit=True), network=False) as bench:
        for ours in (True, False):
            spec = replace(recipe(bench, f"{nonce}{mount} echo kept >/x/{ours}\n"), ours=ours)
            await bench.engine.build(tmp_path, spec, Log())
        told = {}
        for name, app_id, ours in (("ours", other, True), ("same", bench.app_id, False), ("another", other, False)):
            look = f"{nonce}ENV ASKS={name}\n{mount} echo here: $(ls /x)\n"
            await bench.engine.build(tmp_path, replace(recipe(bench, look), app_id=app_id, ours=ours), log := Log())
            told[name] = log.text.rpartition("here:")[2].split()
    assert told == {"ours": ["True"], "same": ["False"], "another": []}


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM {name}\n",
        "ARG X={name}\nFROM ${{X}}\n",
        "FROM {stack}\nCOPY --from={name} /secret /\n",
        "FROM {id}\n",
        "FROM\v{name}\n",
        "\ufeffFROM {name}\n",
        "FROM paas\\d-test''/{rest}\n",
        "FROM {stack}\nENV X=x\\\\\nFROM {name}\n",
        "# below a comment no directive is one\n# escape=`\nFROM {stack}\nENV X=x`\nFROM {name}\n",
    ],
)
async def test_another_app_s_image_is_nobody_s_to_build_upon(bench: Bench, tmp_path: Path, dockerfile: str) -> None:
    """Its source is in it. Bites: `refuse_others` left out, and each build reads the secret."""
    (tmp_path / "secret").write_text("private")
    theirs = replace(recipe(bench, f"FROM {STACK}\nCOPY secret /secret\n"), app_id=str(uuid.uuid4()))
    artifact = await bench.engine.build(tmp_path, theirs, Log())
    rest = theirs.name.removeprefix("paasd-test/")
    text = dockerfile.format(name=theirs.name, stack=STACK, id=artifact.name, rest=rest)
    with pytest.raises(BuildFailed, match="which is another app's image; build from an image that is no app's"):
        await bench.engine.build(tmp_path, recipe(bench, text), Log())
    if "{id}" in dockerfile:
        return  # BuildKit knows no image by that, today
    mine = replace(recipe(bench, text), app_id=theirs.app_id)
    assert (await bench.engine.build(tmp_path, mine, Log())).app_id == theirs.app_id


async def test_an_image_that_only_the_engine_finds_in_a_dockerfile_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if we had read nothing in it: the engine says what it looks up. Bites: without `asked` in `_run` it builds."""
    async with asyncio.timeout(150), docker_bench(DockerSettings(buildkit=True), network=False) as bench:
        theirs = replace(recipe(bench, f"FROM {STACK}\nENV N={uuid.uuid4()}\n"), app_id=str(uuid.uuid4()))
        await bench.engine.build(tmp_path, theirs, Log())
        monkeypatch.setattr("paasd.adapters.docker_build.named_images", lambda _dockerfile: [])
        with pytest.raises(BuildFailed, match="which is another app's image"):
            await bench.engine.build(tmp_path, recipe(bench, f"FROM {theirs.name}\nRUN sleep 60\n"), Log())
