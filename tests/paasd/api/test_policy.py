"""The matrix of routes and roles: each route has its row, and each row is held by the wire."""

import re

import pytest

from paasd.api.identity import PUBLIC
from paasd.api.policy import POLICIES, policy_of, unlisted
from paasd.api.server import make_api
from paasd.domain.access import ALL_PERMISSIONS, Permission, Scope
from tests.paasd.api.people import person, share
from tests.paasd.api.world import World

ROLES: dict[str, frozenset[Permission]] = {
    "viewer": frozenset({Permission.VIEW}),
    "operator": frozenset({Permission.VIEW, Permission.OPERATE}),
    "deployer": frozenset({Permission.VIEW, Permission.DEPLOY}),
    "manager": ALL_PERMISSIONS,
}


def routes_of(world: World) -> list[tuple[str, str]]:
    api = make_api(world.parts)
    return [
        (route.method, route.resource.canonical)
        for route in api.router.routes()
        if route.resource is not None and route.handler not in api[PUBLIC]
    ]


@pytest.mark.row("S01", "what is another's, by every route, and ids of one app under another")
async def test_each_route_has_a_row_and_each_row_a_route(world: World) -> None:
    """Bites: add a route without a row, and only admins may call it until this is mended."""
    routes = routes_of(world)
    assert unlisted(routes) == []
    assert sorted(set(POLICIES) - {f"{method} {path}" for method, path in routes}) == []
    assert policy_of("DELETE", "/everything").admin
    assert policy_of("HEAD", "/apps/{app}") == policy_of("GET", "/apps/{app}")


@pytest.mark.row("S01", "what is another's, by every route, and ids of one app under another")
async def test_what_is_another_s_is_not_there_and_what_is_shared_is_by_permission(world: World) -> None:
    """Bites: have `authorize` skip `admit`, and viewers destroy apps; have both skip the look at who holds any
    permission (`no_app`), and strangers learn which apps there are. Either of the two looks alone is enough."""
    stranger = await person(world, "eve@example.org")
    people = {role: await person(world, f"{role}@example.org") for role in ROLES}
    for number, (route, policy) in enumerate(POLICIES.items()):
        method, pattern = route.split(" ")
        if policy.permission is None:
            continue
        app = await world.create(f"app-{number}")
        for role, permissions in ROLES.items():
            await share(world, app, people[role], *permissions)
        path = re.sub(r"\{(?!app)\w+\}", "0", pattern).replace("{app}", app.name)
        foreign = await stranger.call(method, path, {})
        absent = await stranger.call(method, path.replace(app.name, "no-such-app"), {})
        assert (foreign.status, foreign.raw) == (absent.status, absent.raw) == (404, absent.raw), route
        for role, permissions in ROLES.items():
            status = (await people[role].call(method, path, {})).status
            assert (status == 403) == (policy.permission not in permissions), (route, role, status)
            assert status not in (401, 500), (route, role)


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        (Scope.IDENTITY, ["GET /account"], ["GET /apps", "GET /apps/shop", "POST /apps"]),
        (Scope.READ, ["GET /apps", "GET /apps/shop"], ["GET /apps/shop/config-vars", "PATCH /apps/shop"]),
        (Scope.READ_PROTECTED, ["GET /apps/shop/config-vars", "GET /apps/shop/releases"], ["POST /apps"]),
        (Scope.WRITE, ["PATCH /apps/shop", "GET /apps"], ["PATCH /apps/shop/config-vars", "GET /oauth/authorizations"]),
        (Scope.WRITE_PROTECTED, ["PATCH /apps/shop/config-vars"], ["GET /oauth/authorizations", "GET /account/keys"]),
        (Scope.GLOBAL, ["GET /oauth/authorizations"], ["GET /paasd/audit", "GET /paasd/accounts"]),
    ],
)
async def test_scopes(world: World, scope: Scope, allowed: list[str], refused: list[str]) -> None:
    ann = await person(world, "ann@example.org", [scope])
    app = await world.create()
    await share(world, app, ann, *ALL_PERMISSIONS)
    for call in allowed:
        method, path = call.split(" ")
        assert (await ann.call(method, path, {})).status < 300, call
    for call in refused:
        method, path = call.split(" ")
        answer = await ann.call(method, path, {})
        assert (answer.status, answer.json["id"]) == (403, "forbidden"), call
