"""Dynos, one-off dynos and logs."""

import re

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop
from tests.daemon import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(300)]


def test_dynos(shop: Shop, heroku: Terminal) -> None:
    assert re.search(r"^web\.1: up ", heroku("ps"), re.MULTILINE)
    assert "now running web at 2" in heroku("ps:scale", "web=2")
    assert "now running web at 3" in heroku("ps:scale", "web+1")
    assert heroku("ps:scale").startswith("web=3:")
    assert heroku("ps:wait") == ""
    assert "Restarting all dynos" in heroku("ps:restart")
    assert "done" in heroku("ps:restart", "--dyno-name", "web.2")
    assert "done" in heroku("ps:stop", "--dyno-name", "web.3")
    assert "web" in heroku("ps:type")
    assert "Standard-2X" in heroku("ps:type", "web=standard-2x")
    assert "web=3:Standard-2X" in heroku("ps:scale")
    wait_until(lambda: memories(shop) == {1024**3}, 60, "the dynos are not larger")
    assert "now running web at 1:Standard-1X" in heroku("ps:scale", "web=1:standard-1x")
    wait_until(lambda: memories(shop) == {512 * 1024**2}, 60, "the dyno is not smaller")
    assert "There is no size" in heroku("ps:type", "gigantic", code=2)
    assert "now running web at 1" in heroku("ps:scale", "web=1")
    assert "Error ID: not_found" in heroku("ps:scale", "nothing=1", code=2)


def memories(shop: Shop) -> set[int]:
    """Bytes that its running dynos may have."""
    return {int(shop.inspect(name, "{{.HostConfig.Memory}}")) for name in shop.containers(all=False)}


def test_one_off_dynos(shop: Shop, heroku: Terminal) -> None:
    assert heroku("run", "--no-tty", "-x", "--", "echo one").splitlines()[-1] == "one"
    assert "exited with code 3" in heroku("run", "--no-tty", "-x", "--", "exit 3", code=3)
    assert "inside web.1" in heroku("run:inside", "web.1", "echo inside $DYNO")
    assert re.search(r"done, run\.\d+", heroku("run:detached", "--", "echo on its own"))
    assert "rake" in heroku("rake", "--no-tty", "about")  # there is none in this image, and it is asked for
    assert "console" in heroku("console")


def test_logs(shop: Shop, heroku: Terminal) -> None:
    shop.get("/")
    said = heroku("logs", "-n", "100")
    assert re.search(r"app\[web\.1\]: hello v\d+ listens", said)
    assert "heroku[router]: at=info method=GET" in said
    assert "heroku[router]" not in heroku("logs", "--source", "app")
