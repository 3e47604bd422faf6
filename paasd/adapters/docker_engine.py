"""The engine on Docker: dynos are containers, artifacts are images, an app's network is a bridge of its own.

All that it knows it asks Docker, by labels; nothing is kept here. Another home's containers are never touched.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from paasd.adapters.docker_api import DockerApi, DockerSettings, Refused, sensible
from paasd.adapters.docker_build import Builder
from paasd.adapters.docker_build_bounds import BuildBounds
from paasd.adapters.docker_caches import cache_sizes, purge_cache
from paasd.adapters.docker_containers import (
    APP,
    DYNO,
    HOME,
    create_body,
    parse_listeners,
    read_artifact,
    read_dyno,
    socket_tables,
)
from paasd.adapters.docker_counts import Counts
from paasd.adapters.docker_endings import Endings
from paasd.adapters.docker_events import Events
from paasd.adapters.docker_faults import absent, cannot_start, problems
from paasd.adapters.docker_firewall import Firewall
from paasd.adapters.docker_network import Networks, gateways, is_local
from paasd.adapters.docker_shells import DockerShell, container_with_input, open_exec, take_over
from paasd.adapters.docker_stacks import read_stacks
from paasd.adapters.docker_streams import DockerTerminal, Seen, log_lines
from paasd.domain.dyno import Dyno, DynoSpec, DynoState, Exit
from paasd.domain.errors import Conflict, EngineUnavailable, NotFound
from paasd.domain.stack import Stacks, parse_version
from paasd.failpoints import Failpoints
from paasd.ports import Artifact, BuildSpec, Change, EngineInfo, Shell, Size, Tally, Terminal, Write

BUILDKIT_API = (1, 39)
LAST_LINES = 1500  # what Heroku keeps of a log
DOCKER_DNS = "127.0.0.11"  # listens inside every container


class DockerEngine:
    """Engine on one Docker Engine. `home` names this daemon's home in labels, so that two can share an engine."""

    def __init__(self, home: str, settings: DockerSettings | None = None, failpoints: Failpoints | None = None) -> None:
        self._home = home
        self._failpoints = failpoints or Failpoints()
        self._settings = settings or DockerSettings()
        self._api = DockerApi(self._settings)
        self._counts = Counts(self._api)
        self._networks = Networks(self._api, home, self._settings)
        self._builder = Builder(self._api, home, self._settings.build_memory, self._settings.cache_secret)
        self._bounds = BuildBounds(
            self._settings.build_memory * self._settings.builds,
            self._settings.build_pids * self._settings.builds,
            self._settings.build_cpus,
        )
        self._publish: bool | None = self._settings.publish_ports
        self._endings = Endings(self._api, self._find, self._failpoints)
        self._events = Events(self._api, home, self._find)
        self._firewall = Firewall(self._settings.subnet_pool)

    async def __aenter__(self) -> "DockerEngine":
        return self  # connects on first use: the daemon also starts without an engine, and says so

    async def __aexit__(self, *exc: object) -> None:
        self._counts.close()
        await self._api.close()

    async def info(self) -> EngineInfo:
        """Asks the engine; never from memory."""
        connection = await self._api.connect()
        found = await self._api.call("info")
        self._publish = await self._must_publish(found)
        api = parse_version(connection.api_version)
        gateway = None if self._publish else await self._firewall.problem(await self._networks.default_bridge())
        troubles = [
            *problems(found, api, connection.api_version, publish=self._publish),
            *([gateway] if gateway else []),
        ]
        return EngineInfo(
            name="docker",
            version=str(found["ServerVersion"]),
            api_version=connection.api_version,
            buildkit=self._buildkit(api),
            addresses_reachable=not self._publish,
            problems=tuple(troubles),
            data_root=None if self._publish else found.get("DockerRootDir"),
        )

    async def stacks(self) -> Stacks:
        """What builds may stand on: images of this engine, told by their names."""
        return await read_stacks(self._api)

    async def guard(self) -> None:
        """Close the ways from dynos and builds to this host's services, where we may."""
        if not await self._publishes():  # else dynos and builds are on another machine
            await self._firewall.close(await self._networks.default_bridge())

    async def build(self, source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        """Build `source` by `recipe`. Raises BuildFailed; cancelling stops the build."""
        connection = await self._api.connect()
        buildkit = self._buildkit(parse_version(connection.api_version))
        if buildkit and not await self._publishes():  # else it is another machine's
            await asyncio.to_thread(self._bounds.set)
        return await self._builder.build(source, recipe, output, buildkit=buildkit)

    async def adopt_image(self, image: str, recipe: BuildSpec, output: Write) -> Artifact:
        """An artifact like an image the engine has. NotFound when there is none, or it is another app's."""
        version = parse_version((await self._api.connect()).api_version)
        return await self._builder.adopt(image, recipe, output, buildkit=self._buildkit(version))

    async def artifacts(self) -> Sequence[Artifact]:
        """All artifacts that this home's builds made."""
        images = await self._api.call("images", filters={"label": f"{HOME}={self._home}"})
        return [read_artifact(image) for image in images]

    async def delete_artifact(self, artifact: str) -> None:
        """Absent: fine. Still used by a dyno: it stays, no error."""
        try:
            # Forced, since it may have several names: that spares running containers' images, but not ended ones'.
            if await self._api.get("/containers/json", all="1", filters=json.dumps({"ancestor": [artifact]})):
                return
            await self._api.call("remove_image", artifact, force=True)
        except Refused as error:
            if error.status not in (404, 409):
                raise

    async def cache_sizes(self) -> Mapping[str, int]:
        """Bytes that builds keep for the next, by app id; none without BuildKit."""
        buildkit = self._buildkit(parse_version((await self._api.connect()).api_version))
        return await cache_sizes(self._api) if buildkit else {}

    async def purge_cache(self, app_id: str) -> int:
        """Remove an app's: the bytes that went."""
        buildkit = self._buildkit(parse_version((await self._api.connect()).api_version))
        return await purge_cache(self._api, app_id) if buildkit else 0

    async def tag(self, artifact: str, name: str) -> None:
        """Another name for an artifact ("paasd/shop:v4"). Absent: NotFound."""
        repository, _, tag = name.rpartition(":")
        try:
            await self._api.call("tag", artifact, repository, tag)
        except Refused as error:
            if error.status != 404:
                raise
            raise NotFound(f"There is no artifact {artifact}; push its commit again.", resource="artifact") from error

    async def start(self, spec: DynoSpec) -> Dyno:
        """Start a dyno on its app's network. Already running: returned as it is. DynoUnhealthy if it can't start."""
        found = await self._create(spec)
        await self._failpoints.reach("container-create")
        if found is not None and found.running and found.state is DynoState.UP:
            return found
        await self._counts.begin(spec.id)
        await self._start(spec)
        return await self._inspect(spec.id)

    async def stop(self, dyno_id: str, *, grace: float = 30.0) -> Exit | None:
        """SIGTERM, `grace` seconds, SIGKILL, then remove; how it ended. Absent: None."""
        return await self._endings.stop(dyno_id, grace)

    async def wait(self, dyno_id: str) -> Exit:
        """Until it ends. NotFound when there is no such dyno."""
        return await self._endings.wait(dyno_id)

    async def dynos(self, app_id: str | None = None) -> Sequence[Dyno]:
        """All dynos of this home (of one app), running or ended, not yet removed."""
        # DYNO, since what somebody runs of our images by hand has the images' labels, but is no dyno
        labels = [f"{HOME}={self._home}", DYNO, *([f"{APP}={app_id}"] if app_id is not None else [])]
        rows = await self._api.get("/containers/json", all="1", filters=json.dumps({"label": labels}))
        with sensible():
            found = await asyncio.gather(*(self._find(row["Id"]) for row in rows))
            return [read_dyno(container) for container in found if container is not None]

    async def attach(self, spec: DynoSpec) -> Terminal:
        """Create a dyno, attach to it, then start it."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._endings.remove, spec.id)  # a cancelled call is carried out all the same
            await self._create(spec)
            connection = AsyncExitStack()
            stack.push_async_exit(connection)
            response = await connection.enter_async_context(
                self._api.stream(
                    "POST", f"/containers/{spec.id}/attach", params={"stream": "1", "stdout": "1", "stderr": "1"}
                )
            )
            await self._start(spec)
            stack.pop_all()  # from here on the terminal owns both
        return DockerTerminal(
            self._api.chunks(response), connection, lambda: self.wait(spec.id), lambda: self._endings.remove(spec.id)
        )

    async def converse(self, spec: DynoSpec, *, size: Size | None) -> Shell:
        """Create a dyno with its stdin open, attach to it, then start it."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._endings.remove, spec.id)
            await self._create(spec, container_with_input(size))
            path = f"/containers/{spec.id}/attach?stream=1&stdin=1&stdout=1&stderr=1"
            reader, writer, url = await take_over(self._api, path)
            stack.callback(writer.close)
            await self._start(spec)
            shell = DockerShell(
                *(reader, writer),
                tty=size is not None,
                url=url,
                resize=lambda to: self._api.post(f"/containers/{spec.id}/resize", w=str(to[0]), h=str(to[1])),
                ended=lambda: self.wait(spec.id),
                remove=lambda: self._endings.remove(spec.id),
            )
            if size is not None:
                await shell.resize(size)
            stack.pop_all()
        return shell

    async def exec(self, dyno_id: str, command: str, env: Mapping[str, str], *, size: Size | None) -> Shell:
        """A shell command in a running dyno. Closing hangs up, the dyno goes on."""
        dyno = await self._inspect(dyno_id)
        if not dyno.running:
            raise absent(dyno_id)
        return await open_exec(self._api, dyno_id, ["/bin/sh", "-c", command], env, size=size)

    async def listeners(self, dyno_id: str) -> Sequence[tuple[str, int]]:
        """(address, port) of each TCP socket listening inside a running dyno; empty when that can't be seen."""
        container = await self._find(dyno_id)
        if container is None or not container["State"]["Running"]:
            return []
        tables = (
            None if await self._publishes() else await asyncio.to_thread(socket_tables, int(container["State"]["Pid"]))
        )
        if tables is None:
            tables = await self._exec(dyno_id, ["cat", "/proc/net/tcp", "/proc/net/tcp6"])
        return [found for found in parse_listeners(tables) if found[0] != DOCKER_DNS]

    async def logs(self, dyno_id: str, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """(time, text) of each line after `since` (None: of the last ones), then live. NotFound when it is absent."""
        wanted = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        wanted |= {"tail": str(LAST_LINES)} if since is None else {"since": f"{since.timestamp():.6f}"}
        if since is not None:
            self._counts.forget(dyno_id)  # which of its lines are after that is not known
        seen = Seen()
        given = partial(self._counts.given, dyno_id)
        try:
            async for at, text in self._log(dyno_id, wanted | {"follow": "1"}, since, given):
                seen.add(at, text)
                yield at, text
            # The engine ends what is followed as soon as the container ends, now and then before its last lines.
            async for line in seen.missed(self._log(dyno_id, wanted | seen.since(), since)):
                given()
                yield line
        except Refused as error:
            raise absent(dyno_id) if error.status == 404 else error from error
        except EngineUnavailable:
            self._counts.forget(dyno_id)
            raise

    def tally(self, dyno_id: str) -> Tally | None:
        """What it printed, counted as it was printed; None when that was not counted from its start."""
        return self._counts.tally(dyno_id)

    async def _log(
        self,
        dyno_id: str,
        params: Mapping[str, str],
        since: datetime | None,
        given: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[tuple[datetime, str]]:
        async with self._api.stream("GET", f"/containers/{dyno_id}/logs", params=params) as response:
            async for at, text in log_lines(self._api.chunks(response), given):
                if since is None or at > since:  # the engine's `since` takes in its own moment
                    yield at, text

    def changes(self) -> AsyncIterator[Change]:
        """Each dyno that started, ended, vanished, ran out of memory or was tampered with since this call, or since
        the stream before it broke off. Ends when the engine goes away."""
        return self._events.follow()

    async def create_network(self, app_id: str) -> None:
        """The app's own network. Already there: fine."""
        await self._networks.create(app_id)

    async def networks(self) -> Sequence[str]:
        """The app ids of all networks that this home made and that are still there."""
        return await self._networks.apps()

    async def remove_network(self, app_id: str) -> None:
        """Absent: fine."""
        await self._networks.remove(app_id)

    # --- containers -------------------------------------------------------------------------------------------------

    async def _create(self, spec: DynoSpec, more: Mapping[str, Any] | None = None) -> Dyno | None:
        """None when it was made now; else the dyno of this id that was there and has not ended."""
        body = create_body(
            spec,
            home=self._home,
            network=self._networks.name(spec.app_id),
            settings=self._settings,
            publish=await self._publishes(),
        ) | dict(more or {})
        for _ in range(3):  # the second time an ended one of this name has been removed
            try:
                await self._api.call("create_container_from_config", body, spec.id)
                return None
            except Refused as error:
                if error.status != 409:
                    raise cannot_start(spec, error) if error.status in (400, 404) else error from error
            container = await self._find(spec.id)
            if container is not None and container["Config"]["Labels"].get(HOME) != self._home:
                raise Conflict(
                    f"A container named {spec.id} is there already and is not this paasd's; remove or rename it."
                )
            if container is not None and container["State"]["Status"] in ("created", "running", "paused"):
                return read_dyno(container)
            await self._endings.remove(spec.id)
        raise EngineUnavailable(
            f"Docker keeps a dead container named {spec.id}; remove it with `docker rm -f {spec.id}`."
        )

    async def _start(self, spec: DynoSpec) -> None:
        """Start what was created. What can't start is removed."""
        try:
            await self._api.call("start", spec.id)
        except Refused as error:
            missing = self._networks.name(spec.app_id)
            if error.status != 404 or missing not in error.words:
                await self._endings.remove(spec.id)
                raise cannot_start(spec, error) from error
            # Somebody removed the app's network. The container refers to it by name, so a new one will do.
            await self.create_network(spec.app_id)
            await self._api.call("start", spec.id)

    async def _inspect(self, dyno_id: str) -> Dyno:
        container = await self._find(dyno_id)
        if container is None:
            raise absent(dyno_id)
        with sensible():
            return read_dyno(container)

    async def _find(self, dyno_id: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._api.get(f"/containers/{dyno_id}/json")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return found

    async def _exec(self, dyno_id: str, command: list[str]) -> str:
        try:
            made = await self._api.call("exec_create", dyno_id, command, stderr=False)
            return bytes(await self._api.call("exec_start", made["Id"])).decode(errors="replace")
        except Refused:
            return ""  # it ended meanwhile, or has no such command

    # --- what this engine is ----------------------------------------------------------------------------------------

    def _buildkit(self, api: tuple[int, ...]) -> bool:
        return api >= BUILDKIT_API if self._settings.buildkit is None else self._settings.buildkit

    async def _publishes(self) -> bool:
        if self._publish is None:
            self._publish = await self._must_publish(await self._api.call("info"))
        return self._publish

    async def _must_publish(self, found: Mapping[str, Any]) -> bool:
        """Whether dynos' addresses are out of this host's reach: it owns no gateway of the engine's bridges."""
        if self._settings.publish_ports is not None:
            return self._settings.publish_ports
        connection = await self._api.connect()
        rootless = any("rootless" in option for option in found.get("SecurityOptions") or ())
        if connection.endpoint.socket is None or rootless or "Docker Desktop" in str(found.get("OperatingSystem")):
            return True
        return not any(map(is_local, gateways(await self._api.call("networks"))))
