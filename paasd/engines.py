"""Which engine runs a home's dynos: the one its builds were made by, the one that is asked for, or what is there."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.docker_engine import DockerEngine
from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.domain.errors import EngineUnavailable
from paasd.failpoints import parse_failpoints
from paasd.home import Home
from paasd.ports import Engine
from paasd.settings import Settings, parse_address

log = structlog.get_logger(__name__)

MEGABYTE = 1024 * 1024


def docker_engine(settings: Settings, home: Home) -> Engine:
    """The Docker Engine of this machine, or the one the settings name."""
    own = replace(docker_settings(settings), cache_secret=home.cache_secret())
    return DockerEngine(home.id(), own, parse_failpoints(settings.failpoints))


def docker_settings(settings: Settings) -> DockerSettings:
    """What the settings say of Docker's engine."""
    section = settings.docker
    return DockerSettings(
        host=section.host,
        subnet_pool=section.subnet_pool,
        subnet_prefix=section.subnet_prefix,
        build_memory=settings.build.memory_mb * MEGABYTE,
        build_pids=settings.build.pids,
        build_cpus=settings.build.cpus,
        builds=settings.build.parallel,
    )


def process_engine(settings: Settings, home: Home) -> Engine:
    """This machine's own processes."""
    return ProcessEngine(
        home.id(),
        home.path,
        ProcessSettings(
            search_path=settings.search_path,
            build_memory=settings.build.memory_mb * MEGABYTE,
            api=parse_address(settings.api, "api")[1],
        ),
        parse_failpoints(settings.failpoints),
    )


ENGINES: Mapping[str, Callable[[Settings, Home], Engine]] = {"docker": docker_engine, "process": process_engine}


async def choose(settings: Settings, home: Home) -> Engine:
    """The home's engine from now on. HomeError when another than the one it was used with is asked for."""
    name = home.engine(settings.engine)
    if name == "auto":
        why = await why_no_docker(settings)
        name = "docker" if why is None else "process"
        if why is not None:
            log.warning("dynos run as plain processes, and will in this home from now on", reason=why)
    home.keep_engine(name)
    log.info("engine", name=name)
    return ENGINES[name](settings, home)


async def why_no_docker(settings: Settings) -> str | None:
    """None when a Docker Engine answers, or the settings name one: that will be back, and is not to be replaced."""
    if settings.docker.host is not None:
        return None
    async with DockerEngine("auto") as engine:
        try:
            await engine.info()
        except EngineUnavailable as error:
            return error.message
    return None
