"""An engine that is away: what needs none answers, the rest is refused as a whole."""

import json
from pathlib import Path

import pytest

from tests.acceptance.refusals import raw
from tests.acceptance.shop import Shop, open_shop, rejected, sentence
from tests.daemon import Daemon

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


def test_an_engine_that_is_down(mortal: Daemon, tmp_path: Path) -> None:
    """What needs no engine answers; what does is refused as a whole, with 503, and said to the pusher."""
    shop = open_shop(mortal, tmp_path / "user", "no-engine")
    shop.deploy()
    before = shop.standing()
    away = {"docker": {"host": "unix:///nonexistent/docker.sock"}}
    broken = Daemon(mortal.root, config=away, api_port=mortal.api_port, router_port=mortal.router_port)
    mortal.stop()
    try:
        broken.start()
        down = Shop(broken, shop.shell, shop.name)
        assert down.get() == shop.get()  # the app serves on
        for path in ("", "/releases", "/releases/2", "/config-vars", "/builds", "/formation"):
            assert down.call("GET", path)[0] in (200, 206), path
        for method, path, body in (
            ("PATCH", "/config-vars", {"A": "1"}),
            ("POST", "/releases", {"release": "v2"}),
            ("GET", "/dynos", None),
        ):
            data = json.dumps(body).encode() if body else None
            status, headers, answer = raw(broken, method, f"/apps/{shop.name}{path}", data)
            assert (status, answer["id"]) == (503, "service_unavailable"), (method, path, answer)
            assert int(headers["Retry-After"]) > 0
            said = sentence(answer["message"])
            assert said.startswith("Docker does not answer at unix:///nonexistent/docker.sock; start it, or run")
        code, text = down.push()
        assert code != 0
        assert rejected(text) == said
        assert down.call("PATCH", "", {"maintenance": True})[0] == 200  # this needs the router alone
        assert down.get()[0] == 503
        assert down.call("PATCH", "", {"maintenance": False})[0] == 200
    finally:
        broken.stop()
        mortal.start()
    assert shop.standing() == before
    shop.call("DELETE")
