"""S04 and S05: what a dyno can reach and what it is given, for every kind of container, whatever its owner asks for."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import PROCFILE, Shop
from tests.daemon import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(150)]

ASK = """
import socket, sys
host, port = sys.argv[1:]
try:
    socket.create_connection((host, int(port)), 2).close()
    print("open")
except OSError as error:
    print("closed", error)
"""
METADATA = ("169.254.169.254", 80)
WISHES = {
    "privileged": True,
    "cap_add": ["ALL"],
    "volumes": ["/:/host"],
    "pid": "host",
    "network_mode": "host",
    "devices": ["/dev/mem"],
    "security_opt": ["seccomp=unconfined"],
    "HostConfig": {"Privileged": True, "Binds": ["/:/host"], "PidMode": "host"},
    "image": "docker.sock",
    "entrypoint": ["/bin/sh"],
}
DOCKERFILE = """
ARG BASE=paasd/stack:bookworm
FROM ${BASE}
LABEL paasd.home=other paasd.app=other paasd.id=other traefik.enable=true
VOLUME /data
USER root
WORKDIR /app
COPY server.py ./
RUN cat /proc/self/status | grep -E '^(CapEff|Seccomp):'; true NONCE; ls /var/run/docker.sock || echo no socket
ENTRYPOINT ["python3", "-I", "-S", "server.py"]
"""
HARMFUL_IN_A_BUILD = {12: "NET_ADMIN", 16: "SYS_MODULE", 17: "SYS_RAWIO", 19: "SYS_PTRACE", 21: "SYS_ADMIN"}


def docker(*command: str) -> str:
    return subprocess.run(["docker", *command], capture_output=True, text=True, check=True).stdout.strip()


def asked(container: str, host: str, port: int) -> str:
    """What a connection from within a container came to."""
    command = ["docker", "exec", container, "python3", "-c", ASK, host, str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def network_of(container: str) -> tuple[str, dict[str, Any]]:
    """(name, what Docker says) of the one network it is on."""
    found = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
    [(name, entry)] = found.items()
    return name, entry


@pytest.fixture
def careless() -> Iterator[int]:
    """A service that listens on all addresses of the host; its port."""
    with socket.create_server(("0.0.0.0", 0)) as service:
        yield int(service.getsockname()[1])


@pytest.mark.row("S04", "a dyno reaches no other app, no service of the host, no control API, no metadata address")
def test_a_dyno_reaches_nothing_of_others(shop: Shop, victim: Shop, careless: int) -> None:
    """Bites by itself: put on the victim's network, the same question is answered "open". Seen to
    fail where a machine's metadata address answered, before the firewall closed it."""
    wait_until(lambda: len(shop.containers()) == len(victim.containers()) == 1, 30, "not one dyno each")
    [attacker], [attacked] = shop.containers(), victim.containers()
    _, own = network_of(attacker)
    their_network, theirs = network_of(attacked)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it tells the host's own address
        host = str(probe.getsockname()[0])
    targets = [(str(theirs["IPAddress"]), 5000), METADATA]
    for address in (str(own["Gateway"]), str(theirs["Gateway"]), host):
        targets += [(address, port) for port in (careless, shop.daemon.api_port, shop.daemon.router_port)]
    targets += [("127.0.0.1", port) for port in (careless, shop.daemon.api_port, shop.daemon.router_port)]
    answers: dict[tuple[str, int], str] = {}
    threads = [
        threading.Thread(target=lambda each=target: answers.update({each: asked(attacker, *each)}))
        for target in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(set(targets))
    assert {target: said for target, said in answers.items() if not said.startswith("closed")} == {}
    assert subprocess.run(["docker", "exec", attacker, "ls", "/var/run/docker.sock"], capture_output=True).returncode
    docker("network", "connect", their_network, attacker)
    try:
        assert asked(attacker, str(theirs["IPAddress"]), 5000) == "open"
    finally:
        docker("network", "disconnect", their_network, attacker)


def walled(container: str) -> None:
    """Docker's word and the kernel's."""
    found = json.loads(docker("inspect", container))[0]
    host, config = found["HostConfig"], found["Config"]
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] > 0 and host["Memory"] > 0
    assert not host["Binds"] and not host["Devices"] and not host["PortBindings"]
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", "")
    assert host["IpcMode"] in ("private", "shareable") and host["NetworkMode"].startswith("paasd-")
    assert host["LogConfig"]["Config"]["max-size"]
    assert "/proc/sys" in host["ReadonlyPaths"] and "/proc/kcore" in host["MaskedPaths"]
    assert all(mount["Type"] == "volume" for mount in found["Mounts"])
    assert config["Labels"]["paasd.id"] == found["Name"].lstrip("/")
    text = Path(f"/proc/{found['State']['Pid']}/status").read_text()
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")


@pytest.mark.row("S05", "every kind of container, whatever its owner asks for: no capability, no mount, all bounded")
def test_nobody_gets_more_than_a_dyno_has(shop: Shop) -> None:
    """Bites: with `SecurityOpt` left out of `_host_config`."""
    files = {
        "Dockerfile": DOCKERFILE.replace("NONCE", str(time.time_ns())),  # a cached step says nothing
        "Procfile": f"{PROCFILE}worker: sleep 600\nrelease: sleep 4\n",
        "app.json": json.dumps({"name": "x", "formation": {"web": {"quantity": 1, **WISHES}}, **WISHES}),
    }
    shop.shell.commit("Wishes", files)
    version = len(shop.call("GET", "/releases")[1]) + 1
    kinds: set[str] = set()
    with shop.pushing() as push:
        wait_until(lambda: any("release" in name for name in shop.containers(all=False)), 60, "no release dyno")
        for name in shop.containers(all=False):
            walled(name)
            kinds.add(kind_of(name))
        said, _ = push.communicate(timeout=60)
    assert push.returncode == 0, said
    built(said)
    scale = {"updates": [{"type": "worker", "quantity": 1, **WISHES}]}
    assert shop.call("PATCH", "/formation", scale)[0] == 200
    assert shop.call("POST", "/dynos", {"command": "sleep 60", "size": "host", **WISHES})[0] == 201
    wait_until(lambda: len(shop.containers(all=False)) == 3, 60, "not web, worker and run")
    for name in shop.containers(all=False):
        walled(name)
        kinds.add(kind_of(name))
    assert kinds == {"web", "worker", "run", "release"}
    assert shop.released(version)["status"] == "succeeded"
    volumes = docker("volume", "ls", "-q").split()
    shop.call("DELETE", "/dynos")
    shop.deploy({"Dockerfile": DOCKERFILE.replace("VOLUME /data\n", ""), "Procfile": PROCFILE})
    wait_until(lambda: len(shop.containers()) <= 2, 60, "the old dynos stay")
    assert len(docker("volume", "ls", "-q").split()) < len(volumes)  # what VOLUME made went with its dyno


def kind_of(container: str) -> str:
    """The process type in a dyno's name: "web" of web.1."""
    return docker("inspect", "--format", '{{index .Config.Labels "paasd.dyno"}}', container).partition(".")[0]


def built(said: str) -> None:
    """What a build's step saw of itself: no socket, seccomp on, none of the capabilities that lead out."""
    assert "no socket" in said, said
    words = said.replace(":", ": ").split()
    seen = {word: words[at + 1] for at, word in enumerate(words) if word in ("CapEff:", "Seccomp:")}
    assert seen["Seccomp:"] == "2"
    has = {name for bit, name in HARMFUL_IN_A_BUILD.items() if int(seen["CapEff:"], 16) >> bit & 1}
    assert has == set()
