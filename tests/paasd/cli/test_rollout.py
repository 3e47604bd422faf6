"""Waiting for a release while the wire misbehaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from paasd.cli import rollout
from paasd.cli.client import Api
from paasd.cli.errors import CliError
from paasd.cli.settings import Settings

from .wire import Wire, release


@pytest.fixture
def api(wire: Wire) -> Api:
    return Api(Settings(wire.url, "token", "a test", Path("/home/x")))


def test_a_broken_stream_is_taken_up_where_it_broke(api: Api, wire: Wire) -> None:
    text, calls = b"0123456789" * 10, []

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(1)
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(text[: 30 * len(calls)])
        if len(calls) < 4 and request.transport:
            request.transport.abort()
        return reply

    wire.handle("GET", "/stream", stream)
    seen: list[bytes] = []
    rollout.copy_output(api, wire.url + "/stream", seen.append, still_wanted=lambda: True)
    assert b"".join(seen) == text
    assert len(calls) == 4


def test_a_stream_that_never_starts_is_given_up_with_its_release(api: Api, wire: Wire) -> None:
    answers = [True, True, False]
    with pytest.raises(CliError):
        rollout.copy_output(api, wire.url + "/none", lambda _: None, still_wanted=lambda: answers.pop(0))
    assert len(wire.asked("GET", "/none")) == 3


@pytest.mark.parametrize("named", ["v4", "V4", "4"])
def test_find_by_version(api: Api, wire: Wire, named: str) -> None:
    wire.reply("GET", "/apps/shop/releases/4", release(4))
    assert rollout.find(api, "shop", named)["version"] == 4


def test_an_app_without_releases(api: Api, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/releases", [])
    with pytest.raises(CliError, match="no releases yet"):
        rollout.latest(api, "shop")
