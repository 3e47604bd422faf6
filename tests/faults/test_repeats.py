"""C03: a client that sends a write, goes away, and sends it again: it is done once, to its end, over restarts too.

Bites: with `keep_answer` left out of `api/replay.py`, and with the note of `once` left out of the first transaction.
"""

import http.client
import json
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon, running_alone, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(150)]

Record = Callable[[str, object], None]
SECONDS = 30.0


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """One to kill."""
    with running_alone({"deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app that serves."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("repeats"), "repeats")
    shop.deploy()
    return shop


@pytest.mark.row("C03", "the client goes away after sending a write, and sends it again, also to the next daemon")
@pytest.mark.parametrize("what", ["config", "rollback"])
def test_it_is_carried_out_once(shop: Shop, what: str, record_property: Record) -> None:
    before = versions(shop)
    number, value = str(uuid.uuid4()), uuid.uuid4().hex
    method, path, body = "PATCH", "/config-vars", {"C03": value}
    if what == "rollback":
        method, path, body = "POST", "/releases", {"release": shop.served()[1:]}
    line = begin(shop, method, path, body, number)
    line.close()  # nobody reads the answer
    first = ask(shop, method, path, body, number)  # which may well be while it is still worked on
    assert first[0] in (200, 201), first
    wait_until(lambda: shop.released(before + 1)["status"] == "succeeded", SECONDS, "it was not carried to its end")
    shop.daemon.kill()
    shop.daemon.start()
    assert ask(shop, method, path, body, number) == first
    assert versions(shop) == before + 1
    assert shop.served() == f"v{before + 1}"
    other = ask(shop, method, path, {**body, "MORE": "1"}, number)
    assert other[0] == 422 and "another body" in other[1]["message"]
    assert value not in (shop.daemon.home / "store.db").read_bytes().decode("latin-1")
    record_property("repeats", 2)


@pytest.mark.row("C03", "the client goes away after sending a write, and sends it again, also to the next daemon")
def test_nor_twice_by_a_daemon_killed_in_between(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    before, config = versions(shop), shop.call("GET", "/config-vars")[1]
    number, body = str(uuid.uuid4()), {"C03": uuid.uuid4().hex}
    shop.daemon.stop()
    monkeypatch.setenv("PAASD_FAILPOINTS", "release-row:kill")
    shop.daemon.start()
    monkeypatch.delenv("PAASD_FAILPOINTS")
    line = begin(shop, "PATCH", "/config-vars", body, number)
    assert shop.daemon.process is not None
    assert shop.daemon.process.wait(SECONDS) == -signal.SIGKILL
    line.close()
    shop.daemon.start()
    assert shop.released(before + 1)["status"] == "failed"
    again = ask(shop, "PATCH", "/config-vars", body, number)
    assert again[0] == 409 and "under another Request-Id" in again[1]["message"]
    assert versions(shop) == before + 1
    assert shop.call("GET", "/config-vars")[1] == config
    assert ask(shop, "PATCH", "/config-vars", body, str(uuid.uuid4()))[0] == 200
    assert shop.released(before + 2)["status"] == "succeeded"
    assert shop.call("GET", "/config-vars")[1] == {**config, **body}
    record_property("repeats", 1)


def begin(shop: Shop, method: str, path: str, body: object, number: str) -> http.client.HTTPConnection:
    """The connection that all of the request was sent over."""
    line = http.client.HTTPConnection("127.0.0.1", shop.daemon.api_port, timeout=90)
    headers = {
        "Accept": "application/vnd.heroku+json; version=3",
        "Authorization": f"Bearer {shop.daemon.token}",
        "Content-Type": "application/json",
        "Request-Id": number,
    }
    line.request(method, f"/apps/{shop.name}{path}", json.dumps(body), headers)
    return line


def ask(shop: Shop, method: str, path: str, body: object, number: str) -> tuple[int, Any]:
    """(status, JSON)."""
    line = begin(shop, method, path, body, number)
    try:
        answer = line.getresponse()
        return answer.status, json.load(answer)
    finally:
        line.close()


def versions(shop: Shop) -> int:
    """The newest release's; each is there once."""
    found = [int(release["version"]) for release in shop.call("GET", "/releases")[1]]
    assert sorted(found) == list(range(1, len(found) + 1))
    return max(found)
