"""What a refused call or push says, and that it changed nothing."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.acceptance.shop import Shop, Standing, sentence
from tests.daemon import Daemon, wait_until


@contextmanager
def unchanged(shop: Shop) -> Iterator[Standing]:
    before = shop.standing()
    yield before
    assert shop.standing() == before


@contextmanager
def only_a_failed_release(shop: Shop) -> Iterator[int]:
    """Gives the version it will have; all else stays, and nothing of the attempt is left behind."""
    before = shop.standing()
    version = before.releases[-1][0] + 1
    yield version
    after = shop.standing()
    assert after.releases[:-1] == before.releases
    assert after.releases[-1][:2] == (version, "failed")
    assert (after.dynos, after.containers, after.branch) == (before.dynos, before.containers, before.branch)
    assert (after.page, after.config) == (before.page, before.config)


def refusal(answer: tuple[int, Any]) -> tuple[int, str, str]:
    """(status, error id, sentence)."""
    status, body = answer
    assert set(body) >= {"id", "message"}, body
    return status, body["id"], sentence(body["message"])


def settled(shop: Shop) -> None:
    """Once no dyno is being retired any more."""
    wait_until(lambda: len(shop.containers()) == 1, 60, "old dynos stayed")


def raw(
    daemon: Daemon,
    method: str,
    path: str,
    data: bytes | None = None,
    *,
    authorization: str | None = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, Any]:
    """(status, headers, JSON) of a call as curl would make it; with the owner's token unless told otherwise."""
    sent = {"Accept": "application/vnd.heroku+json; version=3", "Content-Type": "application/json", **(headers or {})}
    if authorization is not None:
        sent["Authorization"] = authorization or f"Bearer {daemon.token}"
    request = urllib.request.Request(f"{daemon.url}{path}", data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)
