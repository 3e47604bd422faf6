"""`logs`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from .conftest import Run
from .wire import Wire

SESSIONS = "/apps/shop/log-sessions"
ON_SHOP = ("-a", "shop")
LINE = "2026-11-23T06:00:00.000000+00:00 app[web.1]: GET /"


@pytest.fixture(autouse=True)
def session(wire: Wire) -> None:
    wire.reply("POST", SESSIONS, {"logplex_url": wire.url + "/logs/secret"}, status=201)


def test_recent_lines(paas: Run, wire: Wire) -> None:
    wire.text("/logs/secret", f"{LINE}\n{LINE} é\n".encode())
    ran = paas("logs", "-n", "7", "--source", "app", "--dyno", "web.1", *ON_SHOP)
    assert ran.stdout == f"{LINE}\n{LINE} é\n"
    assert wire.asked("POST", SESSIONS)[0].body == {"lines": 7, "tail": False, "source": "app", "dyno": "web.1"}
    got = wire.asked("GET", "/logs/secret")[0].headers
    assert got["Accept"] == "text/plain"
    assert "Authorization" not in got


def test_text_can_not_steer_the_terminal(paas: Run, terminal: Run, wire: Wire) -> None:
    wire.text("/logs/secret", f"{LINE}\x1b]52;c;ZXZpbA==\x07 \x1b[2Jfine\x9b31m\x08\r\n".encode())
    assert paas("logs", *ON_SHOP).stdout == f"{LINE} fine\n"
    shown = terminal("logs", *ON_SHOP).stdout
    assert shown == "\x1b[36m2026-11-23T06:00:00.000000+00:00 app[web.1]:\x1b[0m GET / fine\r\n"
    assert terminal("logs", *ON_SHOP, HEROKU_LOGS_COLOR="0").stdout == f"{LINE} fine\r\n"


def test_json(paas: Run, wire: Wire) -> None:
    wire.text("/logs/secret", f"{LINE}\nodd\n".encode())
    found = [json.loads(line) for line in paas("logs", "--json", *ON_SHOP).stdout.splitlines()]
    assert found[0] == {
        "at": "2026-11-23T06:00:00.000000+00:00",
        "source": "app",
        "dyno": "web.1",
        "message": "GET /",
    }
    assert found[1]["message"] == "odd"


def test_tail_goes_on_where_the_connection_ended(paas: Run, wire: Wire) -> None:
    calls: list[str | None] = []

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(request.headers.get("Last-Event-ID"))
        if len(calls) == 2:
            return web.Response(status=404)  # the address has expired
        if len(calls) == 4:
            return web.Response(status=204)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        await reply.write(b"retry: 10\n\n")
        number = len(calls)
        await reply.write(f"id: {number}\ndata: line {number}\n\nid: {number + 1}\nda".encode())
        await reply.write(f"ta: line {number + 1}\n\n".encode())
        if number == 1 and request.transport:
            request.transport.abort()  # in the middle of a chunked body
        return reply

    wire.handle("GET", "/logs/secret", stream)
    ran = paas("logs", "--tail", *ON_SHOP)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["line 1", "line 2", "line 3", "line 4"]
    assert calls == [None, "2", "2", "4"]
    assert len(wire.asked("POST", SESSIONS)) == 2


def test_an_expired_address(paas: Run, wire: Wire) -> None:
    wire.text("/logs/secret", b"", status=403)
    assert paas("logs", *ON_SHOP).returncode == 1


def test_searching(paas: Run, wire: Wire) -> None:
    wire.text("/logs/secret", f"{LINE}\n".encode())
    assert paas("logs", "--grep", "a b", "--since", "2h", "--release", "v4", "--ps", "web.1", *ON_SHOP).returncode == 0
    body = wire.asked("POST", SESSIONS)[0].body
    assert isinstance(body, dict)
    ago = datetime.now(UTC) - datetime.fromisoformat(body.pop("since"))
    assert 7200 <= ago.total_seconds() < 7200 + 60
    assert body == {"lines": None, "tail": False, "grep": "a b", "release": "v4", "dyno": "web.1"}
    assert paas("logs", "--since", "2026-11-23T06:00:00Z", "-n", "5", *ON_SHOP).returncode == 0
    body = wire.asked("POST", SESSIONS)[1].body
    assert body == {"lines": 5, "tail": False, "since": "2026-11-23T06:00:00+00:00"}
    refused = paas("logs", "--since", "yesterday", *ON_SHOP)
    assert refused.returncode != 0
    assert "write 30s, 10m, 2h, 1d" in refused.stderr
