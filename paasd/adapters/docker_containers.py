"""A dyno as a container: what is asked of the engine for a DynoSpec, and what its answer says about a Dyno."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.docker_streams import parse_time
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, DynoSpec, DynoState, Exit, in_shell
from paasd.ports import Artifact

HOME = "paasd.home"
APP = "paasd.app"
RELEASE = "paasd.release"
VERSION = "paasd.version"
DYNO = "paasd.dyno"
KIND = "paasd.kind"
PORT = "paasd.port"
ID = "paasd.id"
SIZE = "paasd.size"
COMMAND = "paasd.command"
BUILD = "paasd.build"
CREATED = "paasd.created"

SIGTERM = 15
SIGNALS = range(129, 160)  # the exit codes a shell gives for signals 1 to 31
NEVER = "0001-"  # how the engine begins a time that has not come


def create_body(spec: DynoSpec, *, home: str, network: str, settings: DockerSettings, publish: bool) -> dict[str, Any]:
    """The body of POST /containers/create: nothing of the host, all capabilities dropped, everything bounded."""
    body: dict[str, Any] = {
        "Image": spec.artifact,
        # tini hands SIGTERM to the whole process group, so that it reaches what a shell runs, too
        "Env": [*(f"{name}={value}" for name, value in spec.env.items()), "TINI_KILL_PROCESS_GROUP=1"],
        "Labels": labels(spec, home),
        "HostConfig": _host_config(spec, network, settings),
        "NetworkingConfig": {"EndpointsConfig": {network: {}}},
    }
    if spec.command is not None:
        body["Entrypoint"] = []
        body["Cmd"] = ["/bin/sh", "-c", in_shell(spec.command)]
    if spec.port is not None and publish:
        body["ExposedPorts"] = {f"{spec.port}/tcp": {}}
        body["HostConfig"]["PortBindings"] = {f"{spec.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    return body


def labels(spec: DynoSpec, home: str) -> dict[str, str]:
    """All that a Dyno needs to be read back, should everything else be lost. Each is set, "" for none: one that is not
    would be what the image says."""
    return {
        HOME: home,
        APP: spec.app_id,
        RELEASE: spec.release_id,
        VERSION: str(spec.release_version),
        DYNO: spec.name,
        KIND: spec.kind.value,
        ID: spec.id,
        SIZE: spec.size,
        PORT: str(spec.port) if spec.port is not None else "",
        COMMAND: spec.command or "",
    }


def _host_config(spec: DynoSpec, network: str, settings: DockerSettings) -> dict[str, Any]:
    limits = spec.limits
    config: dict[str, Any] = {
        "NetworkMode": network,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": limits.pids,
        "Memory": limits.memory,
        "MemorySwap": limits.memory,  # equal: no swap
        "Ulimits": [{"Name": "nofile", "Soft": limits.open_files, "Hard": limits.open_files}],
        "OomScoreAdj": 500,
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": settings.log_max_size, "max-file": str(settings.log_max_files)},
        },
    }
    if limits.cpus is not None:
        config["NanoCpus"] = int(limits.cpus * 1e9)
    return config


def read_dyno(container: Mapping[str, Any]) -> Dyno:
    """A Dyno from what GET /containers/x/json says of a container with our labels."""
    marks = container["Config"]["Labels"]
    state = container["State"]
    lost = bool(state["Running"]) and _is_lost(container)
    running = bool(state["Running"]) and not lost
    kind = DynoKind(marks[KIND])
    ended = None
    if not (running or lost or state["Status"] == "created"):
        ended = replace(read_exit(state), at=_time(state.get("FinishedAt", NEVER)))
    address, port = _reachable(container, marks.get(PORT)) if running else (None, None)
    return Dyno(
        id=str(container["Name"]).lstrip("/"),
        name=marks[DYNO],
        kind=kind,
        app_id=marks[APP],
        release_id=marks[RELEASE],
        release_version=int(marks[VERSION]),
        state=DynoState.DOWN if lost else _state(state["Status"], kind, ended),
        address=address,
        port=port if running else _number(marks.get(PORT)),
        command=marks.get(COMMAND) or None,
        created_at=parse_time(container["Created"]),
        started_at=_time(state["StartedAt"]),
        exit=ended,
        size=marks.get(SIZE, DEFAULT_SIZE),
    )


def read_exit(state: Mapping[str, Any]) -> Exit:
    """How a container ended, from its State."""
    code = int(state["ExitCode"])
    # The engine's mark also stays when only a child was killed for memory and the dyno went on to end well.
    oom = bool(state.get("OOMKilled")) and code not in (0, 128 + SIGTERM)
    return Exit(code, code - 128 if code in SIGNALS else None, oom)


def _state(status: str, kind: DynoKind, ended: Exit | None) -> DynoState:
    if status == "created":
        return DynoState.STARTING
    if status == "removing":
        return DynoState.DOWN
    if ended is None:
        return DynoState.UP
    return DynoState.COMPLETE if ended.code == 0 and kind is not DynoKind.FORMATION else DynoState.CRASHED


def _is_lost(container: Mapping[str, Any]) -> bool:
    """Whether somebody paused it, took it from its network, or gave it another name: nothing that it could mend."""
    renamed = container["Config"]["Labels"].get(ID, "") not in ("", str(container["Name"]).lstrip("/"))
    return bool(container["State"].get("Paused")) or not container["NetworkSettings"]["Networks"] or renamed


def _reachable(container: Mapping[str, Any], port: str | None) -> tuple[str | None, int | None]:
    settings = container["NetworkSettings"]
    published = (settings.get("Ports") or {}).get(f"{port}/tcp")
    if published:
        return str(published[0]["HostIp"]), int(published[0]["HostPort"])
    addresses = (str(network.get("IPAddress") or "") for network in settings["Networks"].values())
    return next(filter(None, addresses), None), _number(port)


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _time(stamp: str) -> datetime | None:
    return None if stamp.startswith(NEVER) else parse_time(stamp)


def parse_listeners(table: str) -> list[tuple[str, int]]:
    """(address, port) of each listening socket in the text of /proc/net/tcp or tcp6."""
    found = []
    for line in table.splitlines():
        columns = line.split()
        if len(columns) > 3 and columns[3] == "0A":
            host, _, port = columns[1].partition(":")
            found.append((_address(host), int(port, 16)))
    return found


def _address(digits: str) -> str:
    """The kernel writes an address as 32-bit words in the machine's own order."""
    words = (int.from_bytes(bytes.fromhex(digits[at : at + 8]), sys.byteorder) for at in range(0, len(digits), 8))
    return str(ip_address(b"".join(word.to_bytes(4, "big") for word in words)))


def read_artifact(image: Mapping[str, Any]) -> Artifact:
    """From what the engine says of an image of ours."""
    labels = image["Labels"]
    return Artifact(
        str(image["Id"]), labels[APP], labels[BUILD], int(image["Size"]), datetime.fromisoformat(labels[CREATED])
    )


def socket_tables(pid: int) -> str | None:
    """The sockets of a process on this host; None where they can't be read."""
    try:
        return "".join(path.read_text() for path in sorted(Path(f"/proc/{pid}/net").glob("tcp*")))
    except OSError:
        return None
