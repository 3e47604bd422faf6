"""Sources and builds as any HTTP client uses them: curl puts a tar.gz, and it is built and served."""

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = open_shop(daemon, tmp_path_factory.mktemp("sources"), "by-archive")
    yield shop
    shop.call("DELETE")


def test_an_archive_put_with_curl_is_built_and_served_and_can_be_rolled_back_to(shop: Shop) -> None:
    blob = shop.daemon.call("POST", "/sources")[1]["source_blob"]
    shop.shell.run("tar", "czf", "../source.tgz", ".")
    put = shop.shell.run(
        "curl", "-sS", "-X", "PUT", "-H", "Content-Type:", "--upload-file", "../source.tgz", blob["put_url"]
    )
    assert json.loads(put)["size"] == (shop.shell.cwd.parent / "source.tgz").stat().st_size
    status, build = shop.call("POST", "/builds", {"source_blob": {"url": blob["get_url"], "version": "2026-11-26"}})
    assert (status, build["status"]) == (201, "pending")
    said = shop.shell.run("curl", "-sSN", build["output_stream_url"])
    assert said.index("-----> Source received") < said.index("Releasing v2") < said.index("v2 is live")
    assert shop.served() == "v2"
    (release,) = [one for one in shop.call("GET", "/releases")[1] if one["version"] == 2]
    ended = shop.call("GET", f"/builds/{build['id']}")[1]
    assert (ended["status"], ended["release"]["id"], release["slug"]["id"]) == ("succeeded", release["id"], build["id"])
    assert release["description"] == "Deploy 2026-11-"
    shop.deploy({"other.txt": "pushed"})
    assert shop.served() == "v3"
    shop.shell.run("paas", "rollback", "v2", "-a", shop.name)
    assert shop.served() == "v4"
    assert shop.branch() == shop.shell.run("git", "rev-parse", "HEAD").strip()


def test_a_url_inside_is_refused(shop: Shop) -> None:
    url = f"http://127.0.0.1:{shop.daemon.router_port}/"
    status, said = shop.call("POST", "/builds", {"source_blob": {"url": url}})
    assert (status, said["id"]) == (422, "invalid_params")
