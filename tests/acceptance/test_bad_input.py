"""What bad input gets: the right status, an error id, one sentence, a non-zero exit, and nothing half done."""

import os
import re
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.refusals import only_a_failed_release, raw, refusal, settled, unchanged
from tests.acceptance.shop import PROCFILE, Shop, open_shop, rejected, sentence
from tests.daemon import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

SLOW_RELEASE = "release: echo started; sleep 600\n"


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app with v2 deployed, which every refused request must leave as it is."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("bad"), "bad-input")
    shop.deploy()
    return shop


def test_an_app_that_is_not_there(shop: Shop) -> None:
    for method, path in (("GET", "/apps/nosuch"), ("GET", "/apps/nosuch/releases"), ("DELETE", "/apps/nosuch")):
        status, error, message = refusal(shop.daemon.call(method, path))
        assert (status, error) == (404, "not_found")
        assert "app" in message
    code, text = shop.shell.attempt("git", "push", f"{shop.daemon.url}/nosuch.git", "main")
    assert code != 0
    assert "remote: " in text
    assert "find" in text or "no app" in text.lower()


@pytest.mark.heroku_cli
def test_an_app_that_is_not_there_by_the_official_cli(shop: Shop) -> None:
    text = shop.shell.run("heroku", "releases", "--app", "nosuch", ok=False)
    assert "not_found" in text
    assert re.search(r"find that app|no app", text, re.IGNORECASE)


def test_a_release_that_is_not_there(shop: Shop) -> None:
    with unchanged(shop):
        assert refusal(shop.call("GET", "/releases/99"))[:2] == (404, "not_found")
        assert refusal(shop.call("GET", "/releases/v99"))[:2] == (404, "not_found")
        status, error, message = refusal(shop.call("POST", "/releases", {"release": "v99"}))
        assert (status, error) == (404, "not_found")
        assert "99" in message or "release" in message


@pytest.mark.heroku_cli
def test_a_rollback_to_a_release_that_is_not_there_by_the_official_cli(shop: Shop) -> None:
    for command in (("rollback", "v99"), ("releases:info", "v99"), ("releases:output", "v99")):
        text = shop.shell.run("heroku", *command, "--app", shop.name, ok=False)
        assert re.search(r"not_found|release", text), text


def test_a_rollback_to_the_initial_release(shop: Shop) -> None:
    with unchanged(shop):
        status, error, message = refusal(shop.call("POST", "/releases", {"release": "v1"}))
        assert (status, error) == (422, "invalid_params")
        assert message == "Cannot roll back to v1: it has no code to go back to; " + (
            "choose a release made by or after a deploy."
        )
        assert "Cannot roll back to v1" in shop.shell.run("paas", "rollback", "v1", ok=False)


@pytest.mark.heroku_cli
def test_a_rollback_of_an_app_without_a_release_to_go_back_to(shop: Shop) -> None:
    shop.shell.run("paas", "apps:create", "--no-remote", "no-release")
    for command in (("heroku", "rollback"), ("heroku", "rollback", "v1"), ("paas", "rollback")):
        text = shop.shell.run(*command, "--app", "no-release", ok=False)
        assert re.search(r"release", text), text
        assert "Traceback" not in text
    assert [entry["version"] for entry in shop.daemon.call("GET", "/apps/no-release/releases")[1]] == [1]
    shop.shell.run("paas", "apps:destroy", "no-release", "--confirm", "no-release")


def test_a_release_command_that_fails(shop: Shop) -> None:
    """The old release serves on, the ref is not moved, the output is kept, and it can't be rolled back to."""
    with only_a_failed_release(shop) as version:
        code, text = shop.push({"Procfile": f"release: echo about to fail; exit 3\n{PROCFILE}"})
        assert code != 0
        assert "remote: about to fail" in text
        said = rejected(text)
        assert said.startswith(f"Release v{version} failed: The release command ")
        assert "exited with status 3" in said
        release = shop.call("GET", f"/releases/{version}")[1]
        with urllib.request.urlopen(release["output_stream_url"], timeout=30) as output:
            assert output.read() == b"about to fail\n"
        reason = next(stage for stage in shop.stages(version) if stage["stage"] == "failed")
        assert reason["detail"] == said.removeprefix(f"Release v{version} failed: ")
    shop.deploy({"Procfile": PROCFILE})  # the next push works
    settled(shop)
    with unchanged(shop):
        status, error, message = refusal(shop.call("POST", "/releases", {"release": f"v{version}"}))
        assert (status, error) == (422, "invalid_params")
        assert f"Cannot roll back to v{version}: it failed; choose a release that succeeded" in message


def test_a_rollback_to_a_release_whose_image_was_pruned(shop: Shop) -> None:
    shop.deploy()
    settled(shop)
    version = shop.call("GET", "/releases")[1][-1]["version"]
    app = shop.call("GET")[1]["id"]
    with closing(sqlite3.connect(shop.daemon.home / "store.db", timeout=10)) as store, store:
        where = "WHERE app_id = ? AND version = 2 AND status = 'succeeded'"
        assert store.execute(f"UPDATE releases SET status = 'expired' {where}", (app,)).rowcount == 1
    with unchanged(shop):
        status, error, message = refusal(shop.call("POST", "/releases", {"release": "v2"}))
        assert (status, error) == (422, "invalid_params")
        assert re.search(r"v2: it has expired and its image is gone; push its commit again \(git push .*\)\.$", message)
    assert shop.call("GET", "/releases/2")[1]["status"] == "expired"
    assert version > 2


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ends its group when a check in here fails: nobody would wait for a push that waits for its release."""
    try:
        yield
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def test_a_second_push_is_told_who_holds_the_app(shop: Shop) -> None:
    with only_a_failed_release(shop) as version:
        shop.shell.commit("Slow", {"Procfile": SLOW_RELEASE + PROCFILE})
        command = ["git", "push", "paasd", "HEAD:main"]
        environment = shop.shell.environment()
        with (
            subprocess.Popen(
                command,
                cwd=shop.shell.cwd,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as first,
            ended(first),
        ):
            wait_until(lambda: shop.call("GET", f"/releases/{version}")[0] == 200, 60, "the first push did not begin")
            code, text = shop.push({"Procfile": PROCFILE})
            assert code != 0
            assert re.match(
                rf"owner@localhost has been pushing to {shop.name} since \d\d:\d\d:\d\d UTC \(stage: releasing\); "
                r"wait for that push to end, then push again, or have it wait: `git push -o queue`\.",
                rejected(text),
            )
            status, error, message = refusal(shop.call("PATCH", "/config-vars", {"A": "1"}))
            assert (status, error) == (409, "conflict")
            assert f"v{version}" in message
            assert "stage: release phase" in message
            os.killpg(first.pid, signal.SIGINT)  # Ctrl-C: the pusher goes away, and the deploy is undone
            first.communicate(timeout=30)
        assert shop.released(version)["status"] == "failed"
        wait_until(lambda: len(shop.containers()) == 1, 30, "the release command still runs")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"README.md": "nothing"}, "Nothing here can be built. Looked at the repository's top for a Dockerfile"),
        ({"requirements.txt": "", "app.py": ""}, "No process types found: add a Procfile with a line such as"),
        (
            {"requirements.txt": "", "Procfile": "web gunicorn\n"},
            "Procfile line 1 can't be read: 'web gunicorn'; write",
        ),
        (
            {"requirements.txt": "", "Procfile": "web: a\nweb: b\n"},
            "Procfile line 2 names the process type 'web' a sec",
        ),
        ({"requirements.txt": "", "Procfile": "web: a\n", "app.json": "{"}, "app.json is not valid JSON"),
    ],
    ids=["nothing to build", "no Procfile", "unreadable Procfile", "twice the same type", "unreadable app.json"],
)
def test_a_push_that_can_not_become_an_app(shop: Shop, files: dict[str, str], said: str, tmp_path: Path) -> None:
    before = shop.builds()
    with unchanged(shop):
        tree = tmp_path / "tree"
        shop.shell.run("git", "clone", "--quiet", str(shop.shell.cwd), str(tree))
        other = Shop(shop.daemon, type(shop.shell)(shop.shell.home, tree, shop.shell.env), shop.name)
        other.shell.run("git", "rm", "--quiet", "-r", ".")
        other.shell.run("paas", "git:remote", "-a", shop.name)
        code, text = other.push(files)
        assert code != 0
        assert rejected(text).startswith(said)
    assert [build["status"] for id, build in shop.builds().items() if id not in before] == ["failed"]


def test_a_procfile_that_is_not_text(shop: Shop) -> None:
    with unchanged(shop):
        (shop.shell.cwd / "Procfile").write_bytes(b"web: \xff\xfe\n")
        code, text = shop.push()
        assert code != 0
        assert "Procfile" in rejected(text)
    shop.shell.commit("Mended", {"Procfile": PROCFILE})


@pytest.mark.parametrize("name", ["..", "a..b", "a" * 64, "Shop", "-shop", "shop-", "1shop", "a", "../../etc", "a b"])
def test_a_name_no_app_may_have(shop: Shop, name: str) -> None:
    before = shop.daemon.call("GET", "/apps")[1]
    status, error, message = refusal(shop.daemon.call("POST", "/apps", {"name": name}))
    assert (status, error) == (422, "invalid_params")
    assert "choose another name" in message
    assert shop.daemon.call("GET", "/apps")[1] == before
    assert "Name must start with a letter" in shop.shell.run("paas", "apps:create", "--", name, ok=False)


def test_a_name_that_is_taken(shop: Shop) -> None:
    with unchanged(shop):
        status, error, message = refusal(shop.daemon.call("POST", "/apps", {"name": shop.name}))
        assert (status, error) == (422, "invalid_params")
        assert "taken" in message


@pytest.mark.heroku_cli
def test_a_name_no_app_may_have_by_the_official_cli(shop: Shop) -> None:
    text = shop.shell.run("heroku", "apps:create", "Shop", ok=False)
    assert "Name must start with a letter" in " ".join(text.split())
    assert "invalid_params" in text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"A": "x\0y"}, "The value of A holds a NUL byte"),
        ({"A\0B": "x"}, "is not usable"),
        ({"A": "x" * 65536}, "of the 65536 an app may have"),
        ({"N" * 65536: "x"}, "is not usable"),
        ({"1A": "x"}, "is not usable"),
        ({"A B": "x"}, "is not usable"),
        ({"A=B": "x"}, "is not usable"),
        ({"": "x"}, "is not usable"),
        ({"A": 5}, "must be a string"),
        ({"A": "x", "B": {"c": 1}}, "must be a string"),
    ],
    ids=[
        "NUL in value",
        "NUL in name",
        "64 kB value",
        "64 kB name",
        "digit",
        "space",
        "=",
        "empty",
        "number",
        "one bad",
    ],
)
def test_config_that_no_environment_can_carry(shop: Shop, body: dict[str, Any], said: str) -> None:
    with unchanged(shop):
        status, error, message = refusal(shop.call("PATCH", "/config-vars", body))
        assert (status, error) == (422, "invalid_params")
        assert said in message
        assert len(message) < 300  # what was sent is not sent back


@pytest.mark.heroku_cli
def test_config_that_no_environment_can_carry_by_the_official_cli(shop: Shop) -> None:
    with unchanged(shop):
        text = shop.shell.run("heroku", "config:set", "1A=x", "--app", shop.name, ok=False)
        assert "is not usable" in text


def test_a_wrong_or_missing_token(shop: Shop) -> None:
    for authorization in (None, "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Bearer", "Digest x"):
        status, _, body = raw(shop.daemon, "GET", f"/apps/{shop.name}", authorization=authorization)
        assert (status, body["id"]) == (401, "unauthorized")
        sentence(body["message"])
    wrong = {**shop.shell.env, "HEROKU_API_KEY": "wrong"}
    stranger = type(shop.shell)(shop.shell.home, shop.shell.cwd, wrong)
    with unchanged(shop):
        code, text = stranger.attempt("git", "push", f"http://x:wrong@127.0.0.1:{shop.daemon.api_port}/bad-input.git")
        assert code != 0
        assert "Authentication failed" in text or "401" in text
        assert "token" in stranger.run("paas", "apps", ok=False)


@pytest.mark.heroku_cli
def test_a_wrong_token_by_the_official_cli(shop: Shop) -> None:
    wrong = {**shop.shell.env, "HEROKU_API_KEY": "wrong"}
    text = type(shop.shell)(shop.shell.home, shop.shell.cwd, wrong).run(
        "heroku", "apps:info", "-a", shop.name, ok=False
    )
    assert re.search(r"unauthorized|token|Invalid credentials", text)


def test_a_body_that_is_not_json(shop: Shop) -> None:
    with unchanged(shop):
        for data in (b"{", b"\xff\xfe", b"[" * 100_000, b"name=shop", b"[]", b"5", b'"x"'):
            status, _, body = raw(shop.daemon, "POST", "/apps", data)
            assert (status, body["id"]) == (400, "bad_request"), data[:20]
            sentence(body["message"])
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, body = raw(shop.daemon, "PATCH", f"/apps/{shop.name}/config-vars", b"A=1", headers=form)
        assert (status, body["id"]) == (400, "bad_request")


def test_a_body_that_is_too_large(shop: Shop) -> None:
    with unchanged(shop):
        status, _, body = raw(shop.daemon, "PATCH", f"/apps/{shop.name}/config-vars", b'{"A":"' + b"x" * 2_000_000)
        assert status == 413
        sentence(body["message"])


@pytest.mark.slow
def test_an_app_that_never_binds_its_port(shop: Shop) -> None:
    with only_a_failed_release(shop):
        code, text = shop.push({"Procfile": "web: sleep 600\n"})
        assert code != 0
        assert re.search(
            r"web\.1 failed to bind to \$PORT \(5000\) within 6 seconds of launch \(R10\); make", rejected(text)
        )
    shop.shell.commit("Mended", {"Procfile": PROCFILE})


@pytest.mark.slow
def test_an_app_that_binds_where_nobody_reaches_it(shop: Shop) -> None:
    with only_a_failed_release(shop):
        code, text = shop.push({"Procfile": "web: python3 -m http.server --bind 127.0.0.1 $PORT\n"})
        assert code != 0
        assert "bound to 127.0.0.1 within 6 seconds, must be 0.0.0.0:$PORT" in rejected(text)
    shop.shell.commit("Mended", {"Procfile": PROCFILE})


def test_an_app_that_ends_at_once(shop: Shop) -> None:
    with only_a_failed_release(shop):
        code, text = shop.push({"Procfile": "web: echo what went wrong; exit 7\n"})
        assert code != 0
        assert "web.1 exited with status 7 before it was up" in rejected(text)
        assert "web.1: what went wrong" in text
    shop.shell.commit("Mended", {"Procfile": PROCFILE})


def test_config_that_breaks_the_app_changes_nothing(shop: Shop) -> None:
    shop.deploy({"Procfile": 'web: test -z "$BROKEN" && ' + PROCFILE.removeprefix("web: ")})
    settled(shop)
    with only_a_failed_release(shop) as version:
        status, _ = shop.call("PATCH", "/config-vars", {"BROKEN": "1"})
        assert status == 200  # recorded; the failure is the release's
        assert shop.released(version)["status"] == "failed"
        wait_until(lambda: len(shop.containers()) == 1, 30, "the new dyno stayed")
