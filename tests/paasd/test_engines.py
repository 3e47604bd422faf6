"""Which engine runs a home's dynos."""

import os
from pathlib import Path
from typing import get_args

import pytest
from structlog.testing import capture_logs

from paasd.adapters.docker_engine import DockerEngine
from paasd.adapters.process_engine import ProcessEngine
from paasd.engines import ENGINES, choose
from paasd.home import Home, HomeError
from paasd.settings import DockerSection, Settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def settings(home: Home, engine: str = "auto", host: str | None = None) -> Settings:
    assert engine in ("auto", *ENGINES)
    return Settings(home=home.path, search_path=os.environ["PATH"], engine=engine, docker=DockerSection(host=host))  # type: ignore[arg-type]


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the SDK's own rules find the engine: nobody is there."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


def test_every_engine_that_can_be_set_can_be_made() -> None:
    annotation = Settings.__annotations__["engine"]
    assert set(get_args(annotation)) == {"auto", *ENGINES}


@pytest.mark.usefixtures("no_docker")
async def test_without_docker_a_new_home_gets_processes_says_so_and_stays_with_them(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bites: the choice not kept; once a Docker Engine comes, the next daemon would find none of the home's builds."""
    with capture_logs() as said:
        assert isinstance(await choose(settings(home), home), ProcessEngine)
    (warning,) = [entry for entry in said if entry["log_level"] == "warning"]
    assert "docker.sock" in warning["reason"]
    monkeypatch.delenv("DOCKER_HOST")
    assert isinstance(await choose(settings(home), home), ProcessEngine)
    with pytest.raises(HomeError, match="--engine process"):
        await choose(settings(home, "docker"), home)


@pytest.mark.usefixtures("no_docker")
async def test_an_engine_that_is_named_is_waited_for(home: Home) -> None:
    assert isinstance(await choose(settings(home, host="unix:///nonexistent/other.sock"), home), DockerEngine)


@pytest.mark.docker
async def test_with_docker_a_new_home_gets_it(home: Home) -> None:
    assert isinstance(await choose(settings(home), home), DockerEngine)
    assert isinstance(await choose(settings(home, "docker"), home), DockerEngine)
