"""Who is let in, how guessing is slowed down, and what the audit says of it."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import pytest

from paasd.api.identity import Guesses
from paasd.api.replies import Refusal
from paasd.domain.access import Permission
from tests.paasd.api.people import person, share
from tests.paasd.api.world import TOKEN, World

LIMIT = 20
SECRET = "canary-7d1f"


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.row("S02", "no token, wrong ones, guesses; none kept as it is")
async def test_an_expired_token_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: the look at `expired` left out of Access."""
    issued = await world.parts.authorizations.issue(world.owner, "short", seconds=0.001)
    past = datetime.now(UTC) + timedelta(seconds=1)
    assert issued.token.expired(past)
    while not issued.token.expired(datetime.now(UTC)):
        pass
    answer = await world.ask("GET", "/account", headers={"Authorization": f"Bearer {issued.secret}"})
    assert (answer.status, answer.json["id"]) == (401, "unauthorized")
    assert "expired" in answer.json["message"]


@pytest.mark.row("S02", "no token, wrong ones, guesses; none kept as it is")
async def test_guessing_is_slowed_down_and_locks_nobody_out(world: World) -> None:
    """Bites: leave `Guesses.wrong` out, and the last guess is answered 401 like the first."""
    statuses = [
        (await world.ask("GET", "/account", headers={"Authorization": f"Bearer guess-{number}"})).status
        for number in range(LIMIT + 1)
    ]
    assert statuses == [401] * LIMIT + [429]
    slowed = await world.ask("GET", "/account", headers=basic("x", "guess"))
    assert (slowed.status, slowed.json["id"]) == (429, "rate_limit")
    assert 0 < int(slowed.headers["Retry-After"]) <= 60
    assert (await world.ask("GET", "/account", headers={"Authorization": f"Bearer {TOKEN}"})).status == 200


async def test_a_guessed_password_is_slowed_down_too(world: World) -> None:
    await person(world, "ann@example.org", password="correct horse")
    for _ in range(LIMIT + 1):
        await world.ask("GET", "/account", headers=basic("", "wrong"))
    right = basic("ann@example.org", "correct horse")
    assert (await world.ask("POST", "/oauth/authorizations", json={}, headers=right)).status == 429


async def test_many_passwords_at_once_are_no_way_round_the_limit(world: World) -> None:
    """Bites: `Guesses.trying` without its count: all are looked at before the first is known to be wrong."""
    await person(world, "ann@example.org", password="correct horse")
    guesses = [*(f"wrong horse {number}" for number in range(3 * LIMIT)), "correct horse"]
    asked = [basic("ann@example.org", guess) for guess in guesses]
    answers = await asyncio.gather(
        *(world.ask("POST", "/oauth/authorizations", json={}, headers=headers) for headers in asked)
    )
    statuses = [answer.status for answer in answers]
    assert statuses[-1] == 429 and statuses.count(401) <= LIMIT + 1, statuses


def test_one_who_has_many_addresses_is_one_guesser() -> None:
    """Bites: `guesser_at` gives back the address itself: whoever has IPv6 has 2^64 of them."""
    guesses = Guesses(LIMIT)
    with pytest.raises(Refusal):
        for number in range(LIMIT + 1):
            guesses.wrong(f"2001:db8:7::{number:x}")
    with pytest.raises(Refusal), guesses.trying("2001:db8:7:0:ffff::1"):
        pass
    for other in ("2001:db8:7:1::1", "192.0.2.1", "::ffff:192.0.2.2", "unix socket"):
        with guesses.trying(other):
            guesses.wrong(other)


async def test_a_password_opens_one_call_only(world: World) -> None:
    await person(world, "ann@example.org", password="correct horse")
    right = basic("Ann@Example.org", "correct horse")
    assert (await world.ask("GET", "/account", headers=right)).status == 401
    assert (await world.ask("POST", "/apps", json={}, headers=right)).status == 401
    made = await world.ask("POST", "/oauth/authorizations", json={"expires_in": 60}, headers=right)
    assert (made.status, made.json["user"]["email"]) == (201, "ann@example.org")
    token = made.json["access_token"]["token"]
    assert (await world.ask("GET", "/account", headers={"Authorization": f"Bearer {token}"})).status == 200
    for wrong in (basic("ann@example.org", "correct hors"), basic("nobody@example.org", "correct horse")):
        answer = await world.ask("POST", "/oauth/authorizations", json={}, headers=wrong)
        assert (answer.status, answer.json["id"]) == (401, "unauthorized")


async def test_every_write_is_in_the_audit_by_name_and_never_by_value(world: World) -> None:
    await world.create()
    await world.call("PATCH", "/apps/shop/config-vars", {"KEY": SECRET, "OTHER": "x"})
    await world.call("PATCH", "/apps/shop/config-vars", {"OTHER": None})
    await world.call("PATCH", "/apps/shop", {"maintenance": True})
    await world.call("PATCH", "/apps/shop", {"name": "store"})
    await world.call("PATCH", "/apps/store", {"name": "-"})  # refused: nothing was written
    await world.get("/apps/store")
    entries = await world.get("/apps/store/audit")
    said = [(entry["method"], entry["path"], entry["status"], entry["detail"]) for entry in reversed(entries)]
    assert said == [
        ("POST", "/apps", 201, {"fields": ["name"]}),
        ("PATCH", "/apps/shop/config-vars", 200, {"set": ["KEY", "OTHER"]}),
        ("PATCH", "/apps/shop/config-vars", 200, {"removed": ["OTHER"]}),
        ("PATCH", "/apps/shop", 200, {"fields": ["maintenance"], "maintenance": [False, True]}),
        ("PATCH", "/apps/shop", 200, {"fields": ["name"], "name": ["shop", "store"]}),
    ]
    first = entries[-1]
    assert (first["user"]["email"], first["token"], first["address"]) == ("owner@example.org", "owner", "127.0.0.1")
    assert SECRET not in str(await world.get("/paasd/audit"))


async def test_what_was_forbidden_is_in_the_audit(world: World) -> None:
    app = await world.create()
    ann = await person(world, "ann@example.org")
    await share(world, app, ann, Permission.VIEW)
    assert (await ann.call("DELETE", "/apps/shop")).status == 403
    entry, _ = await world.get("/apps/shop/audit")
    assert (entry["user"]["email"], entry["method"], entry["status"]) == ("ann@example.org", "DELETE", 403)


async def test_lists_show_what_is_one_s_own_or_shared(world: World) -> None:
    ann = await person(world, "ann@example.org")
    shared = await world.create("shared")
    await world.create("secret")
    assert (await ann.call("POST", "/apps", {"name": "mine"})).status == 201
    await share(world, shared, ann, Permission.VIEW)
    assert {app["name"] for app in (await ann.call("GET", "/apps")).json} == {"mine", "shared"}
    assert {app["name"] for app in (await ann.call("GET", "/users/~/apps")).json} == {"mine", "shared"}
    assert {app["name"] for app in await world.get("/apps")} == {"mine", "secret", "shared"}
