"""The release phase: a one-off dyno of the new artifact with the new config, before anything is swapped."""

import asyncio
import secrets
from dataclasses import dataclass, field

from paasd.domain.app import App
from paasd.domain.dyno import DEFAULT_SIZE, DynoKind, Exit
from paasd.domain.errors import ReleasePhaseFailed
from paasd.domain.release import Release
from paasd.failpoints import Failpoints
from paasd.ports import Engine, OutputFile, Outputs, Terminal, Write
from paasd.services.boot import Boot
from paasd.services.endings import note_exit
from paasd.services.live_output import LiveOutput
from paasd.services.logs import AppLogs

LOG_LINE_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class ReleasePhase:
    """Runs release commands and keeps their output."""

    engine: Engine
    outputs: Outputs
    logs: AppLogs
    boot: Boot
    failpoints: Failpoints = field(default_factory=Failpoints)

    async def open(self, app: App, release: Release) -> OutputFile:
        """Where the output will be kept: there from the moment the release is known, so that it can be followed."""
        return await self.outputs.open(app.id, ("releases", str(release.version)))

    async def run(self, app: App, release: Release, kept: OutputFile, output: Write, size: str = DEFAULT_SIZE) -> None:
        """Run the release command to its end. Raises ReleasePhaseFailed unless it exits 0.

        Its output goes to `kept` byte for byte (which is closed), to `output` up to a bound, and to the app's log.
        """
        command = release.processes.release
        if command is None:
            return
        name = f"release.{secrets.randbelow(9000) + 1000}"
        spec = self.boot.spec(app, release, name, DynoKind.RELEASE, command, size)
        self.logs.belongs(app.id, name, release.version)
        self.logs.note(app.id, name, f"Starting process with command `{command}`")
        try:
            terminal = await self.engine.attach(spec)
            try:
                await self.failpoints.reach("release-phase")
                live = LiveOutput(output, f"`paas releases:output v{release.version}` has the end")
                ended = await self._copy(app, name, terminal, kept, live)
            finally:
                await terminal.close()
        finally:
            await kept.close()
        note_exit(self.logs, app.id, name, ended)
        if ended.code != 0 or ended.signal is not None or ended.oom:
            raise ReleasePhaseFailed(
                f"The release command `{command}` {ended.describe()}; see `heroku releases:output v{release.version}`.",
                exit_code=ended.code,
            )

    async def _copy(self, app: App, name: str, terminal: Terminal, kept: OutputFile, live: LiveOutput) -> Exit:
        tail = b""
        try:
            async with asyncio.timeout(app.release_timeout):
                async for chunk in terminal.output():
                    await kept.write(chunk)
                    await live.write(chunk)
                    *lines, tail = (tail + chunk).split(b"\n")
                    for line in lines:
                        self._note(app, name, line)
                    tail = tail[-LOG_LINE_BYTES:]
                return await terminal.wait()
        except TimeoutError:
            raise ReleasePhaseFailed(
                f"The release command was still running after {app.release_timeout:g} seconds and was stopped; make it "
                f"quicker, or allow it longer with PATCH /apps/{app.name} release_timeout."
            ) from None
        finally:
            if tail:
                self._note(app, name, tail)
            await live.end()

    def _note(self, app: App, name: str, line: bytes) -> None:
        self.logs.note(app.id, name, line.rstrip(b"\r").decode(errors="replace"), source="app")
