"""What the wire may do to a command."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from aiohttp import web

from paasd.cli.client import path

from .conftest import Run
from .wire import TOKEN, Wire, app


def test_what_is_sent(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/account", {"email": "owner@localhost"})
    paas("whoami")
    headers = wire.seen[0].headers
    assert headers["Accept"] == "application/vnd.heroku+json; version=3"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert len(headers["Request-Id"]) == 36


def test_every_page_is_read(paas: Run, wire: Wire) -> None:
    async def pages(request: web.BaseRequest) -> web.StreamResponse:
        if "Range" in request.headers:
            assert request.headers["Range"] == "id ]b..; max=1"
            return web.json_response([app("b")])
        return web.json_response([app("a")], status=206, headers={"Next-Range": "id ]b..; max=1"})

    wire.handle("GET", "/apps", pages)
    assert [found["name"] for found in json.loads(paas("apps", "--json").stdout)] == ["a", "b"]


def test_a_refused_connection_says_how_to_start_the_daemon(paas: Run, home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    (home / "api").write_text(f"http://127.0.0.1:{port}\n")
    ran = paas("apps")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"The daemon is not running at http://127.0.0.1:{port}: start it with `paasd serve" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("variable", [True, False])
def test_401_names_the_token_s_place_and_not_the_token(paas: Run, wire: Wire, home: Path, variable: bool) -> None:
    wire.fail("GET", "/apps", 401, "unauthorized", "Invalid credentials provided.")
    ran = paas("apps", **({"HEROKU_API_KEY": "wr0ng"} if variable else {}))
    assert ran.returncode == 1
    assert ("the variable HEROKU_API_KEY" if variable else str(home / "token")) in ran.stderr
    assert "paasd token" in ran.stderr
    assert "wr0ng" not in ran.stderr
    assert TOKEN not in ran.stderr


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 200), (b"Bad Gateway", 502), (b"\xff", 200)])
def test_an_answer_that_is_not_json(paas: Run, wire: Wire, body: bytes, status: int) -> None:
    wire.text("/apps", body, status=status)
    ran = paas("apps")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"HTTP {status} and something that is not JSON" in ran.stderr


def test_an_error_without_a_message(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps", [], status=500)
    assert "HTTP 500 and no reason" in paas("apps").stderr


def test_a_connection_that_breaks(paas: Run, wire: Wire) -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    wire.handle("GET", "/apps", cut)
    ran = paas("apps")
    assert ran.returncode == 1
    assert "broke" in ran.stderr


def test_a_warning_of_the_api_is_shown(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps", [], headers={"X-Heroku-Warning": "The disk is nearly full."})
    assert paas("apps").stderr == " ›   Warning: The disk is nearly full.\n"


def test_a_message_can_not_steer_the_terminal(paas: Run, wire: Wire) -> None:
    wire.fail("GET", "/apps", 422, "invalid_params", "bad \x1b[2J name")
    assert "\x1b" not in paas("apps").stderr


def test_path_parts_are_encoded() -> None:
    assert path("apps", "../x y", "log-sessions") == "/apps/..%2Fx%20y/log-sessions"
