"""Where add-ons are had from."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from paasd.home import Home
from paasd.providers import PROVIDERS, default_provider, open_providers
from paasd.settings import Settings
from paasd.settings_addons import AddonSettings, ServiceSettings
from tests.fakes import FakeEngine


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


@pytest.mark.parametrize(("engine", "provider"), [("docker", "container"), ("process", "embedded")])
def test_the_engine_tells_unless_the_settings_do(home: Home, engine: str, provider: str) -> None:
    home.keep_engine(engine)
    assert default_provider(Settings(home=home.path, search_path=""), home) == provider
    chosen = Settings(home=home.path, search_path="", addons=AddonSettings(provider="shared"))
    assert default_provider(chosen, home) == "shared"


async def test_those_that_are_wanted_and_those_that_add_ons_came_from_are_opened(home: Home) -> None:
    """One that an add-on of old came from and that is gone keeps no daemon from starting."""
    services = {"heroku-redis": ServiceSettings(provider="container")}
    settings = Settings(home=home.path, search_path="", addons=AddonSettings(services=services))
    async with AsyncExitStack() as stack:
        found = await open_providers(settings, home, FakeEngine(), stack, ["container", "gone"])
        assert found["container"].name == "container"
        assert set(found) <= set(PROVIDERS)
