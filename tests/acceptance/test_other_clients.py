"""Other clients of the Platform API than the official CLI, unmodified, against a real daemon."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heroku3.api  # type: ignore[import-untyped]
import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = open_shop(daemon, tmp_path_factory.mktemp("clients"), "clients")
    shop.deploy()
    yield shop
    shop.call("DELETE")


@pytest.fixture
def client(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Any:
    """heroku3, pointed at the daemon the way its own code offers, and told whom its TLS may trust."""
    client = heroku3.api.Heroku()
    client._heroku_url = daemon.url
    client._session.trust_env = False
    client.authenticate(daemon.token)
    start = heroku3.rendezvous.Rendezvous.start

    def trusting(self: Any) -> Any:
        self.cert = str(daemon.home / "ca" / "ca.pem")
        return start(self)

    monkeypatch.setattr(heroku3.rendezvous.Rendezvous, "start", trusting)
    return client


def test_heroku3_knows_the_app_and_its_releases(client: Any, shop: Shop) -> None:
    app = client.apps()["clients"]
    assert client.account().email == "owner@localhost"
    assert [release.version for release in app.releases()] == [1, 2]
    assert [build.status for build in app.builds()] == ["succeeded"]
    assert [domain.hostname for domain in app.domains()] == ["clients.localhost"]
    assert [person.user.email for person in app.collaborators()] == ["owner@localhost"]
    assert (list(app.addons()), list(app.logdrains()), list(app.sni_endpoints())) == ([], [], [])
    assert "hello v2 listens" in app.get_log()
    assert next(iter(app.stream_log(lines=1)))


def test_heroku3_changes_config_and_rolls_back(client: Any, shop: Shop) -> None:
    app = client.apps()["clients"]
    assert app.update_config({"GREETING": "hello"}).to_dict() == {"GREETING": "hello"}
    newest = app.releases()[-1]
    assert newest.description == "Set GREETING config vars"
    assert app.rollback("v2").description == "Rollback to v2"
    assert shop.released(newest.version + 1)["status"] == "succeeded"
    assert app.config().to_dict() == {}
    assert app.enable_maintenance_mode().maintenance is True
    assert shop.get()[0] == 503
    assert app.disable_maintenance_mode().maintenance is False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # heroku3 leaves its socket open
def test_heroku3_scales_restarts_and_runs(client: Any, shop: Shop) -> None:
    app = client.apps()["clients"]
    assert app.process_formation()["web"].scale(2).quantity == 2
    wait_until(lambda: [dyno.state for dyno in app.dynos()] == ["up", "up"], 30, "web.2 is not up")
    assert app.batch_scale_formation_processes({"web": 1})[0].quantity == 1
    assert app.restart()
    assert app.run_command("echo hello from $DYNO", printout=False)[0].startswith("hello from run.")


def test_heroku3_makes_renames_and_destroys_an_app(client: Any, daemon: Daemon, tmp_path: Path) -> None:
    made = client.create_app(name="by-library")
    assert made.rename("library-app").name == "library-app"
    assert client.apps()["library-app"].delete()
    assert daemon.call("GET", "/apps/library-app")[0] == 404
