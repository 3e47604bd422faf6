"""`paasd router`: the router asked at its own socket, whether a daemon runs or not."""

from pathlib import Path

from paasd.adapters.router_client import RouterClient


async def look(directory: Path, *, renew: bool) -> str:
    """How the router with this folder is, in one line; renewed before if so asked. Raises RouterUnavailable."""
    async with RouterClient(directory / "control.sock") as router:
        if renew:
            await router.upgrade()
        health, table = await router.health(), await router.table()
    apps = "1 app" if len(table.routes) == 1 else f"{len(table.routes)} apps"
    serves = f"serves table {table.version} ({apps}) since {health.started_at}"
    return f"The router (process {health.pid}) listens on {health.listen} and {serves}."
