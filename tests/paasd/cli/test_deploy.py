"""`paas deploy`: what it sends, what it shows, and how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import PAAS, Run
from .test_builds import ID, build
from .wire import DEADLINE, Wire, release

BUILD = f"/apps/shop/builds/{ID}"


@pytest.fixture
def source(directory: Path) -> Path:
    (directory / "Procfile").write_text("web: serve\n")
    (directory / ".gitignore").write_text("*.log\n")
    (directory / "debug.log").write_text("noise")
    return directory


@pytest.fixture
def daemon(wire: Wire) -> Wire:
    """As far as a build that ended well, and became v7."""
    blob = {"put_url": f"{wire.url}/sources/k?cap=put", "get_url": f"{wire.url}/sources/k?cap=get"}
    wire.reply("POST", "/sources", {"source_blob": blob}, status=201)
    wire.reply("PUT", "/sources/k?cap=put", {"size": 1})
    wire.reply("POST", "/apps/shop/builds", build(output_stream_url=f"{wire.url}/streams/x"), status=201)
    wire.text("/streams/x", b"-----> building\n-----> v7 is live\n")
    wire.reply("GET", BUILD, build("succeeded", release={"id": "r7"}))
    wire.reply("GET", "/apps/shop/releases/r7", release(7))
    return wire


def test_a_directory_is_sent_and_its_build_followed(paas: Run, daemon: Wire, source: Path) -> None:
    ran = paas("deploy", "-a", "shop", "--version", "v1")
    assert (ran.returncode, ran.stdout) == (0, "-----> building\n-----> v7 is live\n")
    assert "Packing 2 files... " in ran.stderr
    assert "Sending " in ran.stderr
    (put,) = daemon.asked("PUT", "/sources/k?cap=put")
    assert "Authorization" not in put.headers
    with tarfile.open(fileobj=io.BytesIO(put.body)) as archive:
        assert archive.getnames() == [".gitignore", "Procfile"]
    (post,) = daemon.asked("POST", "/apps/shop/builds")
    blob = {"url": f"{daemon.url}/sources/k?cap=get", "version": "v1", "version_description": ""}
    assert post.body == {"source_blob": blob, "queue": False}


def test_as_json(paas: Run, daemon: Wire, source: Path) -> None:
    said = json.loads(paas("deploy", str(source), "-a", "shop", "--json").stdout)
    assert (said["build"], said["release"]["version"]) == (ID, 7)
    assert said["output"].startswith("-----> building")


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (build("failed", failure="Procfile line 1 can't be read."), "The build failed: Procfile line 1"),
        (build("succeeded"), "It was built, but not released"),
    ],
)
def test_a_build_that_fails_is_exit_code_1(
    paas: Run, daemon: Wire, source: Path, ended: dict[str, Any], words: str
) -> None:
    daemon.reply("GET", BUILD, ended)
    ran = paas("deploy", "-a", "shop")
    assert ran.returncode == 1
    assert words in ran.stderr


def test_a_release_that_fails_is_exit_code_1(paas: Run, daemon: Wire, source: Path) -> None:
    failed = release(7, status="failed")
    daemon.reply("GET", "/apps/shop/releases/r7", failed)
    daemon.reply("GET", "/apps/shop/releases/7?extended=true", {**failed, "extended": {"failure": "web.1 crashed."}})
    daemon.reply("GET", "/apps/shop/releases", [release(6, current=True)])
    ran = paas("deploy", "-a", "shop")
    assert ran.returncode == 1
    assert "v7 failed: web.1 crashed; your app still runs v6" in ran.stderr


def test_an_archive_that_is_refused(paas: Run, daemon: Wire, source: Path) -> None:
    daemon.fail("PUT", "/sources/k?cap=put", 422, "invalid_params", "The archive is larger than 1 MB.")
    ran = paas("deploy", "-a", "shop")
    assert ran.returncode == 1
    assert "The archive is larger than 1 MB." in ran.stderr
    assert not daemon.asked("POST", "/apps/shop/builds")


def test_nothing_to_send(paas: Run, daemon: Wire, directory: Path) -> None:
    ran = paas("deploy", "-a", "shop")
    assert (ran.returncode, "holds no files to send" in ran.stderr) == (1, True)


def test_ctrl_c_stops_the_build(daemon: Wire, source: Path, environment: dict[str, str]) -> None:
    import asyncio
    import threading

    from aiohttp import web

    begun = threading.Event()

    async def forever(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"-----> building\n")
        begun.set()
        await asyncio.sleep(DEADLINE)
        return response

    daemon.handle("GET", "/streams/x", forever)
    daemon.reply("DELETE", BUILD, build("failed"))
    process = subprocess.Popen(
        [str(PAAS), "deploy", "-a", "shop"], cwd=source, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert begun.wait(DEADLINE)
    assert process.stdout.readline() == b"-----> building\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert os.fsencode(f"Stopping build {ID}... done") in said
    assert daemon.asked("DELETE", BUILD)


def test_an_image(paas: Run, wire: Wire) -> None:
    wire.reply("PATCH", "/apps/shop/formation", [])
    wire.reply("GET", "/apps/shop/releases", [release(8)])
    ran = paas("deploy", "--image", "nginx:1", "--type", "web", "--type", "worker=run it=all", "-a", "shop")
    assert (ran.returncode, ran.stderr) == (0, "Releasing image nginx:1 to shop... done, v8\n")
    (patch,) = wire.asked("PATCH", "/apps/shop/formation")
    assert patch.body == {
        "updates": [
            {"type": "web", "docker_image": "nginx:1"},
            {"type": "worker", "docker_image": "nginx:1", "command": "run it=all"},
        ]
    }
