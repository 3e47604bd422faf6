"""What app.json asks for at an app's first deploy: config vars that are missing, and a command after it."""

import asyncio
import secrets
from collections.abc import Mapping

from paasd.domain.app import App
from paasd.domain.app_json import EnvEntry
from paasd.domain.dyno import DynoKind
from paasd.domain.release import Release, Stage
from paasd.ports import Write
from paasd.services.deploy import Stagehands
from paasd.services.endings import note_exit
from paasd.services.live_output import LiveOutput

SECRET_BYTES = 32
DUE = "due"


def filled_in(env: Mapping[str, EnvEntry], config: Mapping[str, str]) -> dict[str, str]:
    """Values for the config vars that app.json has one for, or a generator, and that the app does not have."""
    found = {}
    for name, entry in env.items():
        if name in config:
            continue
        if entry.generated:
            found[name] = secrets.token_hex(SECRET_BYTES)
        elif entry.value is not None:
            found[name] = entry.value
    return found


async def note_postdeploy(hands: Stagehands, app: App, release: Release) -> None:
    """While the release is made: that its command is due, so that a daemon that is killed leaves word of it."""
    if release.processes.postdeploy is not None and await _is_first(hands, app, release):
        await hands.store.add_stage(release.id, Stage.POSTDEPLOY, DUE)


async def postdeploy_is_due(hands: Stagehands, release: Release) -> bool:
    """Whether it was noted, and has not come to an end."""
    if release.processes.postdeploy is None:
        return False
    told = [one.detail for one in await hands.store.stages(release.id) if one.stage is Stage.POSTDEPLOY]
    return told[-1:] == [DUE]


async def run_postdeploy(hands: Stagehands, app: App, release: Release, output: Write) -> None:
    """What is due, once the release serves: the command in a one-off dyno of it, to its end.

    That it fails is said, and undoes nothing: the release serves. Cut off (the daemon ends) it is due still.
    """
    if not await postdeploy_is_due(hands, release):
        return
    ended = await _run(hands, app, release, output)
    await hands.store.add_stage(release.id, Stage.POSTDEPLOY, ended)


async def _run(hands: Stagehands, app: App, release: Release, output: Write) -> str:
    """How it ended, in words."""
    command = str(release.processes.postdeploy)
    name = f"postdeploy.{secrets.randbelow(9000) + 1000}"
    await output(f"-----> Running app.json's postdeploy, once: {command}\n".encode())
    hands.logs.belongs(app.id, name, release.version)
    hands.logs.note(app.id, name, f"Starting process with command `{command}`")
    terminal = await hands.engine.attach(hands.boot.spec(app, release, name, DynoKind.RELEASE, command))
    live = LiveOutput(output, "they are kept nowhere")
    try:
        async with asyncio.timeout(app.release_timeout):
            async for chunk in terminal.output():
                await live.write(chunk)
            ended = await terminal.wait()
    except TimeoutError:
        await live.end()
        await output(f" !     postdeploy was stopped after {app.release_timeout:g} seconds; run it by hand.\n".encode())
        return "stopped: it took too long"
    finally:
        await terminal.close()
    await live.end()
    note_exit(hands.logs, app.id, name, ended)
    if ended.code != 0 or ended.signal is not None or ended.oom:
        words = (
            f" !     postdeploy {ended.describe()}; v{release.version} serves all the same. Run it by hand: heroku run"
        )
        await output(f"{words} {command!r}\n".encode())
    return ended.describe()


async def _is_first(hands: Stagehands, app: App, release: Release) -> bool:
    before = await hands.store.releases(app.id, newest_first=True, limit=1, after=release.version, eligible=True)
    return not before
