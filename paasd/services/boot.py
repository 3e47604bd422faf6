"""Bringing dynos up: what to start for a release, starting it, and waiting until each one serves."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paasd.domain.app import App
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, DynoSpec, Limits
from paasd.domain.errors import DynoUnhealthy, NotFound
from paasd.domain.health import Pace
from paasd.domain.release import Release
from paasd.failpoints import Failpoints
from paasd.ports import REFUSED, Engine, Probe, ProbeResult
from paasd.services.logs import AppLogs

WEB = "web"
LOOPBACK = {"127.0.0.1", "::1"}
FOR_ROUTER = {"0.0.0.0", "127.0.0.1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"}  # noqa: S104 (nothing binds here)
LAST_LINES = 10  # of a crashed dyno's log, shown to whoever deployed it


@dataclass(frozen=True, slots=True)
class BootRules:
    """Figures of the boot: seconds, and the port each web dyno is told to bind."""

    port: int = 5000
    timeout: float = 60.0
    probe_interval: float = 0.1
    confirm_interval: float = 0.02
    confirmations: int = 2
    steady: float = 2.0  # a dyno that serves nothing is healthy when it still runs after this long
    last_lines: float = 2.0  # how long the log of a dyno that did not come up is read
    limits: Limits = field(default_factory=Limits)
    sizes: Mapping[str, Limits] = field(default_factory=dict)  # those of other sizes than the default, by name


@dataclass(frozen=True, slots=True)
class Check:
    """The path that a dyno is asked for (None: only whether it accepts), what its page must hold, and how patiently."""

    path: str | None
    content: str | None
    pace: Pace


@dataclass(frozen=True, slots=True)
class Boot:
    """Starts dynos and judges their health."""

    engine: Engine
    probe: Probe
    logs: AppLogs
    rules: BootRules
    failpoints: Failpoints = field(default_factory=Failpoints)

    def specs(
        self, app: App, release: Release, quantities: Mapping[str, int], sizes: Mapping[str, str] | None = None
    ) -> tuple[DynoSpec, ...]:
        """A spec for each dyno of the formation; every call makes new ids, so old and new stand side by side. `sizes`
        are those that somebody chose."""
        formation, commands = DynoKind.FORMATION, release.processes.commands
        of = {**release.processes.sizes, **(sizes or {})}
        return tuple(
            self.spec(app, release, f"{kind}.{number}", formation, commands[kind], of.get(kind, DEFAULT_SIZE))
            for kind, quantity in quantities.items()
            if kind in commands
            for number in range(1, quantity + 1)
        )

    def spec(
        self, app: App, release: Release, name: str, kind: DynoKind, command: str | None, size: str = DEFAULT_SIZE
    ) -> DynoSpec:
        """One dyno of a release. The release must have an artifact."""
        port = self.rules.port if name.partition(".")[0] == WEB else None
        return DynoSpec(
            id=f"{app.name}.{name}.v{release.version}-{secrets.token_hex(3)}",
            name=name,
            kind=kind,
            app_id=app.id,
            app_name=app.name,
            release_id=release.id,
            release_version=release.version,
            artifact=release.artifact or "",
            command=command,
            env=environment(app, release, name, self.rules.port),
            port=port,
            limits=self.rules.sizes.get(size, self.rules.limits),
            size=size,
        )

    async def start(self, specs: Sequence[DynoSpec]) -> tuple[Dyno, ...]:
        """Start them all at once. Raises DynoUnhealthy or EngineUnavailable; what had started goes on."""
        results = await asyncio.gather(*(self.engine.start(spec) for spec in specs), return_exceptions=True)
        started = [result for result in results if isinstance(result, Dyno)]
        for dyno in started:
            self.logs.note(dyno.app_id, dyno.name, f"Starting process with command `{dyno.command or 'image default'}`")
            self.logs.follow(dyno)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return tuple(started)

    async def await_healthy(self, release: Release, dynos: Sequence[Dyno]) -> None:
        """Until each serves. Raises DynoUnhealthy naming the first that does not, with its last lines."""
        try:
            async with asyncio.TaskGroup() as group:
                for dyno in dynos:
                    group.create_task(self._await_one(dyno, check_of(release, dyno)))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        for dyno in dynos:
            self.logs.note(dyno.app_id, dyno.name, "State changed from starting to up")

    async def _await_one(self, dyno: Dyno, check: Check) -> None:
        began, up = asyncio.get_running_loop().time(), True
        try:
            async with asyncio.timeout(check.pace.allows(self.rules.timeout)), asyncio.TaskGroup() as group:
                watcher = group.create_task(self._fail_when_it_ends(dyno))
                if dyno.port is None:
                    await asyncio.sleep(self.rules.steady if check.pace.uptime is None else check.pace.uptime)
                else:
                    await asyncio.sleep(check.pace.initial_delay or 0)
                    up = await self._probe_until_steady(dyno, check)
                    if up and check.path is None:
                        await self._await_answer(dyno)
                watcher.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        except TimeoutError:
            up = False
        if up:
            return
        took = asyncio.get_running_loop().time() - began
        usual = f"{check.pace.allows(self.rules.timeout):g}"
        reason = await self._why_not_bound(dyno, check, usual if check.pace.attempts is None else f"{took:.1f}")
        self.logs.note(dyno.app_id, dyno.name, f"Error R10 (Boot timeout) -> {reason}")
        raise DynoUnhealthy(reason + await self._last_lines(dyno))

    async def _probe_until_steady(self, dyno: Dyno, check: Check) -> bool:
        """True after the first success and `confirmations` more in a row; False once as many failed as may. Intervals
        count from check to check. While nothing listens it is looked at as often as ever, and counts as one that fails
        in each wait."""
        loop = asyncio.get_running_loop()
        successes = failures = 0
        wait = self.rules.probe_interval if check.pace.between is None else max(check.pace.between, 0.001)
        counts_at = loop.time() + wait
        while successes <= self.rules.confirmations:
            began = loop.time()
            result = await self._probe(dyno, check)
            if result.healthy and not successes and not await self._is_its_own(dyno):
                result = ProbeResult(False, "it is another's that answers at its port")
            successes = successes + 1 if result.healthy else 0
            if successes == 1:
                await self.failpoints.reach("health")
            refused = result.detail == REFUSED
            if not result.healthy and (not refused or began >= counts_at):
                failures, counts_at = failures + 1, began + wait
                if failures == check.pace.attempts:
                    return False
            if successes <= self.rules.confirmations:
                failed = self.rules.probe_interval if refused else wait
                await asyncio.sleep(began + (self.rules.confirm_interval if successes else failed) - loop.time())
        return True

    async def _is_its_own(self, dyno: Dyno) -> bool:
        """Whether it is the dyno that listens: where dynos share a machine's network, any of them may take its port
        before it does, and would be sent what is for another's app."""
        if dyno.told is None:
            return True
        return any(
            number == dyno.told and address in FOR_ROUTER for address, number in await self.engine.listeners(dyno.id)
        )

    async def _await_answer(self, dyno: Dyno) -> None:
        """Servers such as gunicorn listen before they have loaded the app, and end if it can't be: any answer
        tells that it could. Who does not answer (it need not speak HTTP) has to go on for a moment."""
        if dyno.address is None or dyno.port is None or not await self.probe.answers(dyno.address, dyno.port):
            await asyncio.sleep(self.rules.steady)

    async def _probe(self, dyno: Dyno, check: Check) -> ProbeResult:
        if dyno.address is None or dyno.port is None:
            return ProbeResult(False, "it has no address")
        return await self.probe.check(dyno.address, dyno.port, check.path, check.content, timeout=check.pace.timeout)

    async def _fail_when_it_ends(self, dyno: Dyno) -> None:
        try:
            how = (await self.engine.wait(dyno.id)).describe()
        except NotFound:
            how = "was removed"
        self.logs.note(dyno.app_id, dyno.name, "State changed from starting to crashed")
        raise DynoUnhealthy(
            f"{dyno.name} {how} before it was up; mend the command `{dyno.command or 'of the image'}` and try again."
            + await self._last_lines(dyno)
        )

    async def _why_not_bound(self, dyno: Dyno, check: Check, seconds: str) -> str:
        port = dyno.port
        wanted = dyno.told or self.rules.port
        listening = await self.engine.listeners(dyno.id)
        at_port = {address for address, number in listening if number == wanted}
        if at_port:
            detail = (await self._probe(dyno, check)).detail
            if at_port <= LOOPBACK or detail == REFUSED:  # what listens to all of IPv4 refuses nothing
                only = " for IPv6 only" if all(":" in address for address in at_port) else ""
                return (
                    f"{dyno.name} bound to {', '.join(sorted(at_port))}{only} within {seconds} seconds, must be "
                    "0.0.0.0:$PORT (R10); bind to 0.0.0.0 so that the router can reach it."
                )
            detail = detail or f"it passes now, and has to {self.rules.confirmations + 1} times in a row"
            times = f" ({check.pace.attempts} attempts)" if check.pace.attempts is not None else ""
            at = check.path or "TCP"
            return f"{dyno.name} bound to $PORT but its check at {at} did not pass in {seconds} s{times}: {detail}."
        ports = sorted({number for _, number in listening})
        instead = f" but listens on {', '.join(map(str, ports))}" if ports else ""
        return (
            f"{dyno.name} failed to bind to $PORT ({port}) within {seconds} seconds of launch{instead} (R10); "
            "make the process listen on 0.0.0.0:$PORT."
        )

    async def _last_lines(self, dyno: Dyno) -> str:
        lines: deque[str] = deque(maxlen=LAST_LINES)
        try:
            async with asyncio.timeout(self.rules.last_lines):
                async for _, text in self.engine.logs(dyno.id):
                    lines.append(text)
        except (TimeoutError, NotFound):
            pass  # a dyno that still runs never ends its log: what came is enough
        return "".join(f"\n       {dyno.name}: {line}" for line in lines)


def check_of(release: Release, dyno: Dyno) -> Check:
    """How a dyno is checked."""
    processes, kind = release.processes, dyno.type
    pace = processes.health_paces.get(kind, Pace())
    return Check(processes.health_paths.get(kind), processes.health_contents.get(kind), pace)


def environment(app: App, release: Release, dyno_name: str, port: int) -> dict[str, str]:
    """The release's config with what the platform says of the dyno on top."""
    commit = release.commit
    platform = {
        "PORT": str(port),
        "DYNO": dyno_name,
        "HEROKU_APP_ID": app.id,
        "HEROKU_APP_NAME": app.name,
        "HEROKU_RELEASE_VERSION": f"v{release.version}",
        "HEROKU_RELEASE_CREATED_AT": release.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "HEROKU_SLUG_COMMIT": commit.sha if commit else "",
        "HEROKU_SLUG_DESCRIPTION": f"Deploy {commit.label}" if commit else "",
    }
    return {**release.config, **platform}
