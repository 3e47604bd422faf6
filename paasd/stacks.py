"""`paasd stack`: which images apps are built on, and how they are made and kept current."""

import asyncio
import json
import subprocess
from pathlib import Path

import click

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.docker_engine import DockerEngine
from paasd.domain.errors import EngineUnavailable
from paasd.domain.stack import NODES, PYTHONS, Stacks
from paasd.settings import Settings

SCRIPT = Path(__file__).resolve().parent.parent / "deploy" / "setup" / "base-images"
SERVERS = ("postgresql", "redis")  # of add-ons
NAMES = (*PYTHONS, *(f"node-{major}" for major in NODES))
SLIM = tuple(f"node-{major}-slim" for major in NODES)  # for Dockerfiles that stand on node:MAJOR-slim


async def found(settings: Settings) -> Stacks:
    """What builds may stand on here. Raises EngineUnavailable."""
    section = settings.docker
    async with DockerEngine(
        "stacks", DockerSettings(section.host, section.subnet_pool, section.subnet_prefix)
    ) as engine:
        return await engine.stacks()


def show(settings: Settings, *, as_json: bool) -> None:
    """Print them. Raises EngineUnavailable."""
    stacks = asyncio.run(found(settings))
    rows = [
        *(
            {"name": one.name, "image": one.image, "has": f"Python {one.python}", "version": one.version}
            for one in stacks.stacks
        ),
        *(
            {"name": f"node-{major}", "image": f"paasd/node:{major}", "has": f"Node {full}", "version": full}
            for major, full in sorted(stacks.nodes.items(), reverse=True)
        ),
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        default = " (default)" if row["name"] == stacks.default.name else ""
        click.echo(f"{row['name']:10} {row['image']:22} {row['has']:16} {row['version']}{default}")
    missing = [name for name in NAMES if name not in {row["name"] for row in rows}]
    if missing:
        click.echo(f"Not here, and made by `paasd stack build NAME`: {', '.join(missing)}")


def names_of(stacks: Stacks) -> list[str]:
    """What `paasd stack build` calls those that are here."""
    return [*(one.name for one in stacks.stacks), *(f"node-{major}" for major in sorted(stacks.nodes))]


def make(names: list[str], *, anew: bool) -> int:
    """Pull or build images, saying so on the way: the exit code. Raises EngineUnavailable without a checkout."""
    if not SCRIPT.exists():
        raise EngineUnavailable(
            "Stacks are made by deploy/setup/base-images of paasd's checkout, which is not beside this installation; "
            "run it there."
        )
    return subprocess.run([str(SCRIPT), *(["--rebuild"] if anew else []), *names], check=False).returncode
