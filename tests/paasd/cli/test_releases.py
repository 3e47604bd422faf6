"""`releases`, `releases:info`, `releases:output`, `rollback`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from .conftest import Run
from .wire import EXTENDED, Wire, release

LIST = "/apps/shop/releases"
ON_SHOP = ("-a", "shop")
OUTPUT = "http://127.0.0.1/output"


def ledger() -> list[dict[str, Any]]:
    return [
        release(5, "Set GREETING config vars", status="pending", eligible_for_rollback=False, output_stream_url=OUTPUT),
        release(4, "Deploy 00000000", status="failed", eligible_for_rollback=False),
        release(3, "Deploy 9f3c21ab", current=True),
        release(2, "Deploy 11111111"),
        release(1, "Initial release", status="expired", eligible_for_rollback=False),
    ]


def test_table(paas: Run, wire: Wire) -> None:
    wire.reply("GET", LIST, ledger())
    lines = paas("releases", *ON_SHOP, "-n", "5").stdout.splitlines()
    assert lines[0] == "=== shop Releases - Current: v3"
    assert [line.split("  ")[0].strip() for line in lines[2:]] == ["V", "v5", "v4", "v3", "v2", "v1"]
    assert "Set GREETING config vars release command executing  owner@localhost  2026/11/23 06:00:00 +0000" in lines[3]
    assert "Deploy 00000000 failed  " in lines[4]  # there was no release command
    assert "Initial release release expired" in lines[7]
    assert wire.asked("GET", LIST)[0].headers["Range"] == "version ..; max=5, order=desc"
    assert all("\x1b" not in line and "…" not in line for line in lines)


def test_table_on_a_narrow_terminal(terminal: Run, wire: Wire) -> None:
    wire.reply(
        "GET",
        LIST,
        [
            release(
                2, "Set " + "LONG_NAME, " * 12 + "config vars", current=True, status="failed", output_stream_url=OUTPUT
            )
        ],
    )
    shown = terminal("releases", *ON_SHOP, columns=100).stdout
    assert "…" in shown
    assert "\x1b[" in shown
    assert "v2" in terminal("releases", *ON_SHOP, columns=40).stdout.splitlines()[-1]
    assert len([line for line in shown.splitlines() if "v2" in line]) == 2  # the header and one row
    assert "owner@localhost" in shown
    assert "release command failed" in shown
    assert "\x1b[" not in terminal("releases", *ON_SHOP, NO_COLOR="1").stdout.replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    )


def test_json_and_none(paas: Run, wire: Wire) -> None:
    wire.reply("GET", LIST, ledger())
    assert json.loads(paas("releases", *ON_SHOP, "--json").stdout) == ledger()
    wire.reply("GET", LIST, [])
    assert paas("releases", *ON_SHOP).stdout == "shop has no releases.\n"
    assert paas("releases", *ON_SHOP, "-n", "0").returncode == 2


def test_info(paas: Run, wire: Wire) -> None:
    wire.reply("GET", f"{LIST}/4?extended=true", release(4, current=True, extended=EXTENDED))
    wire.reply("GET", f"{LIST}/4/config-vars", {"GREETING": "hello", "DEBUG": "1"})
    ran = paas("releases:info", "v4", *ON_SHOP)
    text = " ".join(ran.stdout.split())
    for words in (
        "=== Release v4",
        "By: owner@localhost",
        "Change: Deploy 9f3c21ab",
        "Commit: " + "9f3c21ab" * 5,
        "Author: Ada <ada@example.org>",
        "Image: sha256:" + "ab" * 32,
        "Process worker: python work.py",
        "Formation: web=2, worker=0",
        "build 12.3 s 06:00:00 python",
        "release phase 250 ms 06:00:12",
        "Changed since v3 Config: added GREETING; removed OLD; changed DEBUG",
        "Processes: added worker",
        "Image: changed Commit: changed",
        "=== v4 Config vars DEBUG: 1 GREETING: hello",
    ):
        assert words in text, ran.stdout
    assert "\x1b" not in ran.stdout
    assert "\x07" not in ran.stdout


def test_info_of_the_newest_as_json(paas: Run, wire: Wire) -> None:
    found = release(4, extended=EXTENDED)
    wire.reply("GET", LIST, [release(4)])
    wire.reply("GET", f"{LIST}/4?extended=true", found)
    assert json.loads(paas("releases:info", *ON_SHOP, "--json").stdout) == found
    assert not wire.asked("GET", f"{LIST}/4/config-vars")


def test_an_unknown_release(paas: Run, wire: Wire) -> None:
    wire.fail("GET", f"{LIST}/99", 404, "not_found", "There is no release v99 of shop.", app={"name": "shop"})
    ran = paas("rollback", "v99", *ON_SHOP)
    assert ran.returncode == 1
    assert "There is no release v99 of shop." in ran.stderr
    assert "App: shop" in ran.stderr
    assert "Error ID: not_found" in ran.stderr
    assert not wire.asked("POST", LIST)


def test_output_is_exact_in_a_pipe_and_harmless_on_a_terminal(paas: Run, terminal: Run, wire: Wire) -> None:
    wire.reply("GET", f"{LIST}/4", release(4, output_stream_url=wire.url + "/streams/x?secret"))
    wire.text("/streams/x?secret", b"Applying \x1b[32mOK\x1b[0m\x1b]0;owned\x07\n")
    assert paas("releases:output", "v4", *ON_SHOP).stdout == "Applying \x1b[32mOK\x1b[0m\x1b]0;owned\x07\n"
    assert terminal("releases:output", "v4", *ON_SHOP).stdout == "Applying \x1b[32mOK\x1b[0m\r\n"
    assert "Applying" in json.loads(paas("releases:output", "4", *ON_SHOP, "--json").stdout)["output"]
    assert all("Authorization" not in seen.headers for seen in wire.asked("GET", "/streams/x?secret"))


def test_output_where_there_is_none(paas: Run, wire: Wire) -> None:
    wire.reply("GET", f"{LIST}/4", release(4))
    ran = paas("releases:output", "v4", *ON_SHOP)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "Release v4 has no release output available." in ran.stderr
    assert json.loads(paas("releases:output", "v4", *ON_SHOP, "--json").stdout)["output"] is None


def test_output_not_started(paas: Run, wire: Wire) -> None:
    wire.reply("GET", f"{LIST}/4", release(4, status="pending", output_stream_url=wire.url + "/streams/x"))
    assert "not started yet" in paas("releases:output", "v4", *ON_SHOP).stderr


def test_rollback_without_a_release_command(paas: Run, wire: Wire) -> None:
    wire.reply("GET", f"{LIST}/2", release(2))
    wire.reply("POST", LIST, release(6, "Rollback to v2", status="pending"), status=201)
    wire.reply("GET", f"{LIST}/6", release(6, status="pending"), release(6, "Rollback to v2"))
    ran = paas("rollback", "v2", *ON_SHOP)
    assert ran.returncode == 0
    assert ran.stderr.splitlines()[0] == "Rolling back shop to v2... done, v6"
    assert wire.asked("POST", LIST)[0].body == {"release": release(2)["id"]}


def test_rollback_streams_its_release_command(paas: Run, wire: Wire) -> None:
    started = asyncio.Event()

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        if not started.is_set():
            started.set()
            return web.Response(status=404)
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(b"Running migrations:\n")
        await reply.write(b"  Applying 0001... OK\n")
        return reply

    wire.handle("GET", "/streams/6", stream)
    wire.reply("GET", f"{LIST}/2", release(2))
    pending = release(6, status="pending", output_stream_url=wire.url + "/streams/6")
    wire.reply("POST", LIST, pending, status=201)
    wire.reply("GET", f"{LIST}/6", pending, pending, release(6))
    ran = paas("releases:rollback", "2", *ON_SHOP)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "Running migrations:\n  Applying 0001... OK\n"
    assert ran.stderr.splitlines()[:3] == [
        "Rolling back shop to v2... v6",
        "Running release command...",
        "Waiting for v6 to be served... done",
    ]


def test_rollback_that_fails(paas: Run, wire: Wire) -> None:
    wire.reply("GET", f"{LIST}/2", release(2))
    wire.reply("POST", LIST, release(6, status="pending"), status=201)
    wire.reply("GET", f"{LIST}/6", release(6, status="failed"))
    failed = {**EXTENDED, "failure": "web.1 did not bind to $PORT within 60 s."}
    wire.reply("GET", f"{LIST}/6?extended=true", release(6, status="failed", extended=failed))
    wire.reply("GET", LIST, ledger())
    ran = paas("rollback", "v2", *ON_SHOP)
    assert (ran.returncode, ran.stdout) == (1, "")
    said = "v6 failed: web.1 did not bind to $PORT within 60 s; your app still runs v3. See `paas logs -a shop`."
    assert said in ran.stderr


def test_rollback_to_the_one_before_skipping_the_release_phase(paas: Run, wire: Wire) -> None:
    wire.reply("GET", LIST, ledger())
    wire.reply("POST", LIST, release(6), status=201)
    ran = paas("rollback", "--skip-release-phase", "--json", *ON_SHOP)
    assert json.loads(ran.stdout)["version"] == 6
    assert wire.asked("POST", LIST)[0].body == {"release": release(2)["id"], "skip_release_phase": True}


@pytest.mark.parametrize("found", [[], ledger()[-1:]])
def test_nothing_to_roll_back_to(paas: Run, wire: Wire, found: list[Any]) -> None:
    wire.reply("GET", LIST, found)
    ran = paas("rollback", *ON_SHOP)
    assert ran.returncode == 1
    assert "no earlier release to go back to" in ran.stderr


@pytest.mark.parametrize("part", ["code", "config"])
def test_rollback_of_one_part(paas: Run, wire: Wire, part: str) -> None:
    wire.reply("GET", f"{LIST}/2", release(2))
    wire.reply("POST", LIST, release(6), status=201)
    ran = paas("rollback", "v2", f"--{part}-only", *ON_SHOP)
    assert ran.stderr.splitlines()[0] == f"Rolling back shop to the {part} of v2... done, v6"
    assert wire.asked("POST", LIST)[0].body == {"release": release(2)["id"], "only": part}
    assert "Rollback affects code and config" not in ran.stderr


def test_rollback_of_both_parts_alone_is_none(paas: Run, wire: Wire) -> None:
    """Bites: one value for both options, of which the last counts."""
    ran = paas("rollback", "v2", "--code-only", "--config-only", *ON_SHOP)
    assert ran.returncode == 2 and "leave both out" in ran.stderr
    assert wire.asked("POST", LIST) == []


def test_the_newest_release_is_made_again(paas: Run, wire: Wire) -> None:
    wire.reply("GET", LIST, [release(4, "Deploy 0123abcd", slug={"id": "slug-4"})])
    wire.reply("POST", LIST, release(5, status="succeeded"), status=201)
    ran = paas("releases:retry", "-a", "shop")
    assert (ran.returncode, ran.stderr) == (0, "Retrying v4 on shop... done, v5\n")
    assert wire.asked("POST", LIST)[0].body == {"slug": "slug-4", "description": "Retry of v4: Deploy 0123abcd"}
    wire.reply("GET", LIST, [release(1, slug=None)])
    ran = paas("releases:retry", "-a", "shop")
    assert (ran.returncode, "v1 of shop has no code to run again" in ran.stderr) == (1, True)
