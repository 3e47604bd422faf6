"""A DynoSpec as a container's body and a container's JSON as a Dyno."""

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.docker_containers import create_body, parse_listeners, read_dyno, read_exit
from paasd.domain.dyno import DynoKind, DynoSpec, DynoState, Exit

LISTENERS = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 020011AC:0050 010011AC:D431 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""


def spec(command: str | None = "serve", port: int | None = 5000) -> DynoSpec:
    return DynoSpec(
        "shop.web.1.v4-3fa9c1", "web.1", DynoKind.FORMATION, "a1", "shop", "r4", 4, "sha256:1",
        command, {"A": "b=c"}, port,
    )  # fmt: skip


def body(of: DynoSpec, *, publish: bool = False) -> dict[str, Any]:
    return create_body(of, home="h1", network="paasd-h1-a1", settings=DockerSettings(), publish=publish)


def container(status: str, *, code: int = 0, oom: bool = False, kind: str = "formation") -> dict[str, Any]:
    running = status in ("running", "paused", "restarting")
    labels = {
        "paasd.home": "h1", "paasd.app": "a1", "paasd.release": "r4", "paasd.version": "4", "paasd.dyno": "web.1",
        "paasd.kind": kind, "paasd.port": "5000", "paasd.command": "serve",
    }  # fmt: skip
    return {
        "Name": "/shop.web.1.v4-3fa9c1",
        "Created": "2026-11-23T22:21:31.123456789Z",
        "Config": {"Labels": labels},
        "State": {
            "Status": status, "Running": running, "ExitCode": code, "OOMKilled": oom,
            "StartedAt": "0001-01-01T00:00:00Z" if status == "created" else "2026-11-23T22:21:32Z",
        },
        "NetworkSettings": {"Ports": {}, "Networks": {"paasd-h1-a1": {"IPAddress": "10.213.0.2" if running else ""}}},
    }  # fmt: skip


def test_a_command_runs_in_a_shell_in_place_of_the_images_own() -> None:
    assert (body(spec())["Entrypoint"], body(spec())["Cmd"]) == (
        [],
        ["/bin/sh", "-c", "trap 'exit $?' TERM; serve"],
    )
    assert not {"Entrypoint", "Cmd"} & set(body(spec(None)))


def test_ports_are_published_on_loopback_only_and_only_where_needed() -> None:
    assert "PortBindings" not in body(spec())["HostConfig"]
    assert "PortBindings" not in body(spec(port=None), publish=True)["HostConfig"]
    bindings = body(spec(), publish=True)["HostConfig"]["PortBindings"]
    assert bindings == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}


def test_a_running_container_is_a_dyno_with_an_address() -> None:
    dyno = read_dyno(container("running"))
    assert (dyno.state, dyno.address, dyno.port, dyno.exit) == (DynoState.UP, "10.213.0.2", 5000, None)
    assert dyno.created_at == datetime(2026, 11, 23, 22, 21, 31, 123456, tzinfo=UTC)
    assert dyno.started_at == datetime(2026, 11, 23, 22, 21, 32, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "code", "kind", "state"),
    [
        ("created", 0, "formation", DynoState.STARTING),
        ("paused", 0, "formation", DynoState.UP),
        ("exited", 0, "formation", DynoState.CRASHED),
        ("exited", 0, "release", DynoState.COMPLETE),
        ("dead", 1, "one-off", DynoState.CRASHED),
        ("removing", 0, "formation", DynoState.DOWN),
    ],
)
def test_each_status_has_its_state(status: str, code: int, kind: str, state: DynoState) -> None:
    dyno = read_dyno(container(status, code=code, kind=kind))
    assert dyno.state is state
    assert (dyno.address is None) == (status != "paused")


def test_when_it_ended_is_the_engines_word() -> None:
    """Bites: leave it to the daemon's own clock, and one that jumped ahead takes each crash for the first."""
    found = container("exited", code=1)
    found["State"]["FinishedAt"] = "2026-11-23T22:21:33Z"
    ended = read_dyno(found).exit
    assert ended is not None and ended.at == datetime(2026, 11, 23, 22, 21, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "oom", "ending"),
    [
        (0, False, Exit(0)),
        (3, False, Exit(3)),
        (137, False, Exit(137, 9)),
        (137, True, Exit(137, 9, oom=True)),
        (143, True, Exit(143, 15)),  # only a child had been killed for memory; SIGTERM ended the dyno
        (0, True, Exit(0)),
        (255, False, Exit(255)),
    ],
)
def test_an_exit_is_read(code: int, oom: bool, ending: Exit) -> None:
    assert read_exit({"ExitCode": code, "OOMKilled": oom}) == ending


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is written in the machine's byte order")
def test_listening_sockets_are_read_of_both_tables() -> None:
    assert parse_listeners(LISTENERS) == [("127.0.0.1", 5000), ("0.0.0.0", 80), ("::1", 8080)]
