"""What BuildKit keeps of an app's builds: its caches of packages, and the layers that our builders' commands made.

Told by the commands that made them, which name the app (`paasd.builders.assemble.of_app`). A Dockerfile of the app's
own names nothing, so that its layers can't be told from anybody else's.
"""

import asyncio
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from paasd.adapters.docker_api import DockerApi, Refused, sensible
from paasd.domain.errors import EngineUnavailable
from paasd.domain.stack import SHARED

NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"  # BuildKit's own argument: what comes before each cache mount's id
WHOSE = re.compile(rf"/var/cache/paasd/([0-9a-f-]{{36}}|{SHARED})\b")
LOOKS, LOOK_SECONDS = 100, 0.2
DF_SECONDS = 120.0  # it measures each layer
ROUNDS = 20  # a record goes only after those that stand on it
Record = Mapping[str, Any]


def namespace(secret: bytes, app_id: str | None) -> str:
    """Where the cache mounts of a build are: those of an app's own Dockerfile; None: those of our builders.

    A Dockerfile may mount any cache of the engine by its id, other apps' and the wheels that all share among them.
    Ours have a place that only who has the secret can name, and each app's own Dockerfiles have another.
    """
    return hmac.new(secret, (app_id or "").encode(), "sha256").hexdigest()


def apart(secret: bytes, app_id: str) -> str:
    """A host that the steps of an app's own Dockerfile know, so that their layers are no other app's.

    BuildKit knows a step that mounts a secret again whatever the secret is: what it fetched with one app's token, or
    from the index that one app named, would be taken by each that has the same Dockerfile and files.
    """
    return f"paasd-{namespace(secret, f'layers of {app_id}')[:32]}:127.0.0.1"


async def cache_sizes(api: DockerApi) -> dict[str, int]:
    """Bytes by app id. Of layers too, which images may still need: these are counted where BuildKit alone has them."""
    sizes: dict[str, int] = {}
    with sensible():
        for record in await _records(api):
            app_id = owner(record)
            if app_id is not None and record.get("Type") == "exec.cachemount":
                sizes[app_id] = sizes.get(app_id, 0) + int(record.get("Size") or 0)
    return sizes


async def purge_cache(api: DockerApi, app_id: str) -> int:
    """Remove what is an app's and not in use by a build: the bytes that its caches had."""
    before = (await cache_sizes(api)).get(app_id, 0)
    for _ in range(ROUNDS):
        with sensible():
            wanted = family(await _records(api), app_id)
        freed = [await _prune(api, identity) for identity in wanted]
        if not any(freed):
            break
    return before - (await cache_sizes(api)).get(app_id, 0)


async def _records(api: DockerApi) -> Sequence[Record]:
    for _ in range(LOOKS):
        try:
            found = await api.get(
                "/system/df", timeout=DF_SECONDS, type="build-cache"
            )  # engines before 1.42 tell all, and take longer
        except Refused as error:
            if "already running" not in error.words:
                raise
            await asyncio.sleep(LOOK_SECONDS)  # it answers one at a time, and refuses others meanwhile
        else:
            return found.get("BuildCache") or ()
    raise EngineUnavailable("Docker was asked by others what it keeps, for too long; try again.")


async def _prune(api: DockerApi, identity: str) -> bool:
    answer = json.loads(
        await api.post("/build/prune", timeout=DF_SECONDS, all="1", filters=json.dumps({"id": [identity]}))
    )
    return bool(answer.get("CachesDeleted"))


def owner(record: Record) -> str | None:
    """The app that a record names."""
    match = WHOSE.search(str(record.get("Description") or ""))
    return match[1] if match else None


def family(records: Sequence[Record], app_id: str) -> list[str]:
    """The ids of an app's records and of all that stand on them, these first."""
    depths = {str(one["ID"]): 0 for one in records if owner(one) == app_id and not one.get("InUse")}
    grown = True
    while grown:
        grown = False
        for one in records:
            parents = [*(one.get("Parents") or ()), *([one["Parent"]] if one.get("Parent") else ())]
            depth = max((depths[parent] + 1 for parent in parents if parent in depths), default=-1)
            if depth > depths.get(str(one["ID"]), -1):
                depths[str(one["ID"])] = depth
                grown = True
    return sorted(depths, key=lambda identity: -depths[identity])
