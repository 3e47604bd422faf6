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
    assert release["description"] == "Deploy 2026-11-26"
    shop.deploy({"other.txt": "pushed"})
    assert shop.served() == "v3"
    shop.shell.run("paas", "rollback", "v2", "-a", shop.name)
    assert shop.served() == "v4"
    assert shop.branch() == shop.shell.run("git", "rev-parse", "HEAD").strip()


def test_a_url_inside_is_refused(shop: Shop) -> None:
    url = f"http://127.0.0.1:{shop.daemon.router_port}/"
    status, said = shop.call("POST", "/builds", {"source_blob": {"url": url}})
    assert (status, said["id"]) == (422, "invalid_params")


def test_paas_deploy_sends_a_directory_as_it_is(shop: Shop) -> None:
    (shop.shell.cwd / "uncommitted.txt").write_text("sent all the same")
    (shop.shell.cwd / ".gitignore").write_text("*.log\n")
    (shop.shell.cwd / "debug.log").write_text("left out")
    before = shop.call("GET", "/releases")[1][-1]["version"]
    head = shop.shell.run("git", "rev-parse", "HEAD").strip()
    said = shop.shell.run("paas", "deploy")
    assert "Packing " in said
    assert f"-----> v{before + 1} is live" in said
    assert shop.served() == f"v{before + 1}"
    details = shop.call("GET", f"/releases/{before + 1}?extended=true")[1]["extended"]
    assert details["commit"] == {"sha": f"{head}-dirty", "author": "owner@localhost", "subject": "A change"}
    repository = shop.daemon.home / "apps" / shop.call("GET")[1]["id"] / "repo.git"
    built = f"refs/builds/{shop.call('GET', '/releases')[1][-1]['slug']['id']}"
    listed = shop.shell.run("git", f"--git-dir={repository}", "ls-tree", "-r", "--name-only", built).splitlines()
    assert "uncommitted.txt" in listed
    assert "debug.log" not in listed


def test_paas_deploy_of_what_does_not_build_or_start_fails(shop: Shop) -> None:
    """Unlike with Heroku's builds, the exit code says so, and the old release serves on."""
    served = shop.served()
    folder = shop.shell.cwd.parent / "broken"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nRUN no-such-thing\n")
    assert "The build failed: " in shop.shell.run("paas", "deploy", str(folder), "-a", shop.name, ok=False)
    for name in ("Dockerfile", "server.py"):
        (folder / name).write_text((shop.shell.cwd / name).read_text())
    (folder / "Procfile").write_text("web: exit 3\n")
    said = shop.shell.run("paas", "deploy", str(folder), "-a", shop.name, ok=False)
    assert "exited with status 3" in said
    assert f"your app still runs {served}" in said
    assert shop.served() == served


def test_paas_deploy_releases_an_image_that_is_there(shop: Shop) -> None:
    """Like any other release: numbered, rolled back to; and no app gets another's image."""
    image = shop.call("GET", f"/releases/{shop.served()[1:]}?extended=true")[1]["extended"]["image"]
    before = shop.call("GET", "/releases")[1][-1]["version"]
    name = f"paasd-acceptance/{shop.name}:1"
    shop.shell.run("docker", "tag", image, name)
    try:
        said = shop.shell.run("paas", "deploy", "--image", name, "--type", "web=python server.py", "-a", shop.name)
        assert f"done, v{before + 1}" in said
        assert shop.served() == f"v{before + 1}"
        release = shop.call("GET", "/releases")[1][-1]
        assert release["description"] == f"Deploy {name}"
        assert shop.call("GET", f"/builds/{release['slug']['id']}")[1]["status"] == "succeeded"
        shop.shell.run("paas", "apps:create", "nosy")
        assert "There is no image" in shop.shell.run("paas", "deploy", "--image", name, "-a", "nosy", ok=False)
    finally:
        shop.shell.run("docker", "rmi", name)
        shop.daemon.call("DELETE", "/apps/nosy")
    assert shop.served() == f"v{before + 1}"
    assert "There is no image" in shop.shell.run("paas", "deploy", "--image", "nope:1", "-a", shop.name, ok=False)
