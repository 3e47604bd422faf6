"""Tokens over the wire: made, shown once, renamed, rotated, revoked."""

import pytest

from paasd.domain.access import TokenKind
from tests.paasd.api.people import person
from tests.paasd.api.world import TOKEN, World


async def test_made_told_once_and_revoked(world: World) -> None:
    made = await world.call(
        "POST", "/oauth/authorizations", {"description": "ci", "expires_in": "3600", "scope": ["read", "read"]}
    )
    assert made.status == 201
    body = made.json
    secret, token_id = body["access_token"]["token"], body["id"]
    assert (body["description"], body["scope"]) == ("ci", ["read"])
    assert 3590 <= body["access_token"]["expires_in"] <= 3600
    bearer = {"Authorization": f"Bearer {secret}"}
    assert (await world.ask("GET", "/apps", headers=bearer)).status == 200
    shown = await world.get(f"/oauth/authorizations/{token_id}")
    assert secret not in str(shown)
    listed = {one["description"]: one["access_token"]["token"] for one in await world.get("/oauth/authorizations")}
    assert listed == {"owner": TOKEN, "ci": "**********"}  # one's own is no secret to oneself
    gone = await world.call("DELETE", f"/oauth/authorizations/{token_id}")
    assert (gone.status, gone.json["description"]) == (200, "ci")
    assert (await world.ask("GET", "/apps", headers=bearer)).status == 401
    assert (await world.call("GET", f"/oauth/authorizations/{token_id}")).json["resource"] == "authorization"


async def test_renamed_and_rotated(world: World) -> None:
    made = (await world.call("POST", "/oauth/authorizations", {})).json
    assert (made["description"], made["scope"], made["access_token"]["expires_in"]) == (
        "Long-lived user authorization", ["global"], None,
    )  # fmt: skip
    path = f"/oauth/authorizations/{made['id']}"
    renamed = await world.call("PATCH", path, {"description": "laptop", "client": None})
    assert renamed.json["description"] == "laptop"
    rotated = await world.call("POST", f"{path}/actions/regenerate-tokens")
    old, new = made["access_token"]["token"], rotated.json["access_token"]["token"]
    assert old != new
    assert (await world.ask("GET", "/account", headers={"Authorization": f"Bearer {old}"})).status == 401
    assert (await world.ask("GET", "/account", headers={"Authorization": f"Bearer {new}"})).status == 200


async def test_the_one_that_asks(world: World) -> None:
    own = await world.get("/oauth/authorizations/~")
    assert (own["description"], own["access_token"]["token"]) == ("owner", TOKEN)
    no_session = await world.call("DELETE", "/oauth/sessions/~")
    assert (no_session.status, no_session.json["resource"]) == (404, "session")


@pytest.mark.parametrize(
    "body",
    [
        {"scope": ["everything"]},
        {"scope": []},
        {"scope": "global"},
        {"expires_in": 0},
        {"expires_in": "soon"},
        {"expires_in": 10**12},
        {"expires_in": True},
        {"description": "two\nlines"},
        {"description": "x" * 101},
    ],
)
async def test_what_can_not_be_meant(world: World, body: dict[str, object]) -> None:
    answer = await world.call("POST", "/oauth/authorizations", body)
    assert (answer.status, answer.json["id"]) == (422, "invalid_params")
    assert len(await world.get("/oauth/authorizations")) == 1


async def test_another_s_tokens_are_not_there(world: World) -> None:
    ann = await person(world, "ann@example.org")
    for token in await world.get("/oauth/authorizations"):
        assert (await ann.call("GET", f"/oauth/authorizations/{token['id']}")).status == 404
        assert (await ann.call("DELETE", f"/oauth/authorizations/{token['id']}")).status == 404


async def test_sessions(world: World) -> None:
    issued = await world.parts.authorizations.issue(world.owner, "browser", seconds=60, kind=TokenKind.SESSION)
    [session] = await world.get("/oauth/sessions")
    assert (session["description"], session["id"]) == ("browser", issued.token.id)
    assert [one["description"] for one in await world.get("/oauth/authorizations")] == ["owner"]
    assert (await world.call("DELETE", f"/oauth/sessions/{session['id']}")).status == 200
    assert await world.get("/oauth/sessions") == []
