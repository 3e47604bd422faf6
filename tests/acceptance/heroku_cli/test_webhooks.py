"""Webhooks with the official CLI and a real daemon, killed on the way. And the rate limit."""

import base64
import hashlib
import hmac
import http.server
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import HELLO, Shop
from tests.daemon import Daemon, running, shell_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(240)]


class Hook(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it; answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Posted)
        self.status = 200
        self.seen: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/s3cret-path"

    def resources(self) -> list[str]:
        return [json.loads(body)["data"]["hostname"] for _, body in self.seen]


class Posted(http.server.BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.headers["Heroku-Webhook-Hmac-SHA256"], body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        yield hook
        hook.shutdown()


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


def test_from_add_to_remove(root: Path, tmp_path: Path, hook: Hook, ran: set[str]) -> None:
    """Bites: kept in memory, `b.example.org` is lost with the daemon; signed with anything else, the digest differs."""
    with running(root, config={"web": {"allow_private": ["127.0.0.0/8"]}}) as daemon:
        shop = Shop(daemon, shell_for(daemon, tmp_path, HELLO), "told").create()
        heroku = Terminal(shop.shell, tmp_path / "hosts", ran)
        assert "has no webhooks" in heroku("webhooks")
        said = heroku("webhooks:add", "-i", "api:domain", "-l", "sync", "-u", hook.url)
        found = re.search(r"^[0-9a-f]{64}$", said, re.MULTILINE)
        assert found is not None, said
        [webhook] = daemon.call("GET", f"/apps/{shop.name}/webhooks")[1]
        assert webhook["id"] in heroku("webhooks")
        assert "Include:" in heroku("webhooks:info", webhook["id"])
        heroku("domains:add", "a.example.org")
        wait_until(lambda: hook.resources() == ["a.example.org"], 20, "nothing came")
        digest = base64.b64encode(hmac.new(found[0].encode(), hook.seen[0][1], hashlib.sha256).digest()).decode()
        assert hook.seen[0][0] == digest
        hook.status = 500
        daemon.call("POST", f"/apps/{shop.name}/domains", {"hostname": "b.example.org"})
        daemon.call("POST", f"/apps/{shop.name}/domains", {"hostname": "c.example.org"})
        daemon.kill()
        hook.status = 200
        daemon.start()
        retried = _retried(daemon, shop, hook)
        wait_until(lambda: set(hook.resources()) == {"a.example.org", "b.example.org", "c.example.org"}, 30, "lost")
        assert hook.resources()[-1] == "c.example.org"
        listed = heroku("webhooks:deliveries")
        assert listed.count("succeeded") >= 2, (listed, retried)
        [*_, newest] = daemon.call("GET", f"/apps/{shop.name}/webhook-deliveries")[1]
        assert '"hostname"' in heroku("webhooks:deliveries:info", newest["id"])
        assert newest["id"] in shop.shell.run("paas", "webhooks:deliveries")
        heroku("webhooks:update", webhook["id"], "-i", "api:app", "-l", "notify", "-u", hook.url)
        assert daemon.call("GET", f"/apps/{shop.name}/webhooks")[1][0]["level"] == "notify"
        heroku("webhooks:remove", webhook["id"])
        log = daemon.log.read_text()
        assert found[0] not in log and "/s3cret-path" not in log


def _retried(daemon: Daemon, shop: Shop, hook: Hook) -> list[str]:
    """What was tried before the kill and failed is asked for again by hand: its own time comes in 15 seconds only."""
    _, failed = daemon.call("GET", f"/apps/{shop.name}/webhook-deliveries?eq[status]=retrying")
    for one in failed:
        daemon.call("POST", f"/apps/{shop.name}/webhook-deliveries/{one['id']}/actions/retry")
    return [one["id"] for one in failed]


def test_the_rate_limit(root: Path, tmp_path: Path) -> None:
    """Bites: without `count` in identity.py the CLI is served for ever."""
    with running(root, config={"rate_limit": 40}) as daemon:
        shell = shell_for(daemon, tmp_path, HELLO)
        assert "owner@localhost" in shell.run("heroku", "whoami")
        status, left = daemon.call("GET", "/account/rate-limits")
        assert status == 200 and 0 < left["remaining"] < 40
        while daemon.call("GET", "/account")[0] == 200:
            pass
        assert daemon.call("GET", "/account/rate-limits") == (200, {"remaining": 0})
        assert "Error ID: rate_limit" in shell.run("heroku", "apps:info", "-a", "x", ok=False)
        assert "Error ID: rate_limit" in shell.run("paas", "apps", ok=False)
