"""What app.json asks for at an app's first deploy: config vars that are missing, and a command after it."""

import asyncio
import secrets
from collections.abc import Mapping

from paasd.domain.app import App
from paasd.domain.app_json import EnvEntry
from paasd.domain.dyno import DynoKind
from paasd.domain.release import Release
from paasd.ports import Write
from paasd.services.deploy import Stagehands
from paasd.services.endings import note_exit

SECRET_BYTES = 32


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


async def run_postdeploy(hands: Stagehands, app: App, release: Release, output: Write) -> None:
    """Once, after the first release with code that serves: the command in a one-off dyno of it, to its end.

    That it fails is said, and undoes nothing: the release serves.
    """
    command = release.processes.postdeploy
    if command is None or not await _is_first(hands, app, release):
        return
    name = f"postdeploy.{secrets.randbelow(9000) + 1000}"
    await output(f"-----> Running app.json's postdeploy, once: {command}\n".encode())
    hands.logs.belongs(app.id, name, release.version)
    hands.logs.note(app.id, name, f"Starting process with command `{command}`")
    terminal = await hands.engine.attach(hands.boot.spec(app, release, name, DynoKind.RELEASE, command))
    try:
        async with asyncio.timeout(app.release_timeout):
            async for chunk in terminal.output():
                await output(chunk)
            ended = await terminal.wait()
    except TimeoutError:
        await output(f" !     postdeploy was stopped after {app.release_timeout:g} seconds; run it by hand.\n".encode())
        return
    finally:
        await terminal.close()
    note_exit(hands.logs, app.id, name, ended)
    if ended.code != 0 or ended.signal is not None or ended.oom:
        words = (
            f" !     postdeploy {ended.describe()}; v{release.version} serves all the same. Run it by hand: heroku run"
        )
        await output(f"{words} {command!r}\n".encode())


async def _is_first(hands: Stagehands, app: App, release: Release) -> bool:
    releases = await hands.store.releases(app.id)
    return not any(one.eligible_for_rollback and one.version < release.version for one in releases)
