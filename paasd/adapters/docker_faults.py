"""What can be wrong with an engine or with what it is to start, in sentences for whoever can mend it."""

from collections.abc import Mapping
from typing import Any

from paasd.adapters.docker_api import Refused
from paasd.domain.dyno import DynoSpec
from paasd.domain.errors import DynoUnhealthy, NotFound

OLDEST_API = (1, 41)  # Engine 20.10


def problems(found: Mapping[str, Any], api: tuple[int, ...], version: str, *, publish: bool) -> list[str]:
    """Sentences for `paasd doctor`, from what the engine says of itself."""
    problems = []
    if api < OLDEST_API:
        problems.append(f"Docker's API {version} is too old; install Docker Engine 20.10 or newer.")
    if publish:
        problems.append(
            "Docker's container addresses can't be reached from this host, so each dyno's port is published on "
            "127.0.0.1; use a Docker Engine that runs on this host itself to do without."
        )
    missing = [name for name, key in (("memory", "MemoryLimit"), ("processes", "PidsLimit")) if found.get(key) is False]
    if missing:
        problems.append(f"Docker can't limit dynos' {' and '.join(missing)} here; enable those cgroup controllers.")
    return problems


def cannot_start(spec: DynoSpec, error: Refused) -> DynoUnhealthy | Refused:
    """Why a dyno can't start, as far as that is the dyno's fault."""
    words = error.words.lower()
    if "no such image" in words:
        return DynoUnhealthy(
            f"{spec.name} can't start: the image of v{spec.release_version} is gone; push its commit again."
        )
    if "rlimit" in words:
        return DynoUnhealthy(
            f"{spec.name} can't start: Docker may not give it {spec.limits.open_files} open files; raise Docker's own "
            "limit (LimitNOFILE) and try again."
        )
    faults = ("executable file not found", "no such file or directory", "permission denied", "no command specified")
    if any(fault in words for fault in faults) and "docker-init" not in words:
        what = "the image's own command" if spec.command is None else "/bin/sh, which runs its command,"
        reason = error.words.rpartition("exec: ")[2] or error.words
        return DynoUnhealthy(f"{spec.name} can't start: {what} can't be run ({reason[:200]}); correct the Dockerfile.")
    return error


def absent(dyno_id: str) -> NotFound:
    """For a dyno that is not there (any more)."""
    return NotFound(f"There is no dyno {dyno_id}; it has ended and was removed.", resource="dyno")
