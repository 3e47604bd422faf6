"""Logging in with a browser, as the CLI and a person go about it."""

import asyncio
import re

import aiohttp
import pytest

from paasd.api.login import PENDING_MAX, Logins
from paasd.domain.access import Scope
from paasd.domain.errors import NotFound
from tests.paasd.api.people import person
from tests.paasd.api.world import TOKEN, World


async def begin(world: World) -> dict[str, str]:
    answer = await world.ask("POST", "/auth", json={"description": "Heroku CLI login from <laptop>"})
    assert answer.status == 200
    return dict(answer.json)


async def submit(world: World, page: str, email: str, password: str) -> tuple[int, str]:
    form = aiohttp.FormData({"email": email, "password": password})
    answer = await world.ask("POST", page, data=form, headers={"Origin": str(world.parts.public_url)})
    return answer.status, answer.raw.decode()


async def test_a_person_logs_in_and_the_cli_has_a_session(world: World) -> None:
    await person(world, "ann@example.org", password="correct horse")
    urls = await begin(world)
    page = await world.ask("GET", urls["browser_url"])
    assert page.status == 200 and "&lt;laptop&gt;" in page.raw.decode()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    waiting = asyncio.create_task(
        world.ask("GET", urls["cli_url"], headers={"Authorization": f"Bearer {urls['token']}"})
    )
    status, text = await submit(world, urls["browser_url"], "ann@example.org", "wrong <password>")
    assert status == 401 and 'role="alert"' in text and "<password>" not in text
    status, text = await submit(world, urls["browser_url"], "Ann@example.org", "correct horse")
    assert status == 200 and "logged in" in text
    async with asyncio.timeout(10):
        answer = await waiting
    bearer = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert (await world.ask("GET", "/account", headers=bearer)).json["email"] == "ann@example.org"
    [session] = (await world.ask("GET", "/oauth/sessions", headers=bearer)).json
    assert session["description"] == "Heroku CLI login from <laptop>"
    assert (await world.ask("DELETE", "/oauth/sessions/~", headers=bearer)).status == 200
    assert (await world.ask("GET", "/account", headers=bearer)).status == 401
    again = await world.ask("GET", urls["cli_url"], headers={"Authorization": f"Bearer {urls['token']}"})
    assert again.status == 404  # told once


async def test_the_owner_s_token_will_do_in_place_of_a_password(world: World) -> None:
    urls = await begin(world)
    assert (await submit(world, urls["browser_url"], "somebody@example.org", TOKEN))[0] == 401
    assert (await submit(world, urls["browser_url"], "owner@example.org", TOKEN))[0] == 200


async def test_nobody_else_fetches_the_answer(world: World) -> None:
    urls = await begin(world)
    other = await begin(world)
    wrong = await world.ask("GET", urls["cli_url"], headers={"Authorization": f"Bearer {other['token']}"})
    assert wrong.status == 401
    assert (await world.ask("GET", "/auth/cli/guess")).status == 404
    over = await world.ask("GET", "/auth/browser/guess")
    assert over.status == 404 and "heroku login" in over.raw.decode()
    assert (await submit(world, "/auth/browser/guess", "a@b.example", "x"))[0] == 404


async def test_the_page_can_not_be_posted_to_from_elsewhere(world: World) -> None:
    urls = await begin(world)
    form = aiohttp.FormData({"email": "owner@example.org", "password": TOKEN})
    answer = await world.ask("POST", urls["browser_url"], data=form, headers={"Origin": "http://evil.example"})
    assert answer.status == 403
    big = aiohttp.FormData({"email": "owner@example.org", "password": "x" * 9000})
    assert (await world.ask("POST", urls["browser_url"], data=big)).status == 413
    assert not re.search(r"(src|href)=|<script", (await world.ask("GET", urls["browser_url"])).raw.decode())


async def test_a_token_of_a_narrow_scope_opens_no_session(world: World) -> None:
    """Bites: `_check` of login.py without its look at the scope: one that may only read becomes one for all."""
    ann = await person(world, "ann@example.org", [Scope.READ])
    urls = await begin(world)
    status, text = await submit(world, urls["browser_url"], "ann@example.org", ann.secret)
    assert status == 401 and "scope" in text
    everything = await person(world, "eve@example.org")
    assert (await submit(world, urls["browser_url"], "eve@example.org", everything.secret))[0] == 200


def test_a_flood_of_logins_ends_nobody_else_s() -> None:
    """Bites: `begin` without its look at the address: as many as are kept push out the one that somebody waits for."""
    logins = Logins()
    page, _ = logins.begin("laptop", "192.0.2.1")
    flood = [logins.begin("flood", "192.0.2.66")[0] for _ in range(2 * PENDING_MAX)]
    assert logins.find(page).description == "laptop"
    assert logins.find(flood[-1])
    with pytest.raises(NotFound):
        logins.find(flood[0])


async def test_the_page_tells_whose_login_it_is(world: World) -> None:
    """Bites: `_form` without the address: what began it is told in the words of who did, who may have sent the link."""
    urls = await begin(world)
    text = (await world.ask("GET", urls["browser_url"])).raw.decode()
    assert "begun at 127.0.0.1" in text and "will be logged in as you" in text
    assert "begun at 127.0.0.1" in (await submit(world, urls["browser_url"], "ann@example.org", "wrong"))[1]
