"""G04, S01 and S02: names, ids and tokens that are tried where they do not belong."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.paasd.api.people import person
from tests.paasd.api.world import TOKEN, World

NAMES = (
    *("..", "a/b", "-rf", "a;id", "$(id)", "x", "A", "é", "%2e%2e", "a" * 64, "a\u202eb", "sh\u200bop"),
    *("api", "www", "git"),
)
VARS = ("A=B", "1x", "A\0", "A\n", "", "é", "A B", "$(id)")


@pytest.mark.row("G04", "names of apps and config vars that mean something elsewhere")
@pytest.mark.parametrize("name", NAMES)
async def test_a_name_of_an_app(world: World, name: str) -> None:
    """Bites: leave the reserved names out, and `api` is created."""
    await world.create("mine")
    for method, path in (("POST", "/apps"), ("PATCH", "/apps/mine")):
        refused = await world.call(method, path, {"name": name})
        assert (refused.status, refused.json["id"]) == (422, "invalid_params"), path
    assert [app["name"] for app in await world.get("/apps")] == ["mine"]
    for path in (f"/apps/{quote(name, safe='')}", f"/{quote(name, safe='')}.git/info/refs?service=git-receive-pack"):
        assert (await world.call("GET", path)).status in (400, 404), path


@pytest.mark.row("G04", "names of apps and config vars that mean something elsewhere")
async def test_config_vars(world: World) -> None:
    await world.create()
    many = {f"V{number}": "x" * 10 for number in range(10_000)}
    for body in (*({name: "x"} for name in VARS), {"A": "x" * 65_537}, {"A": "a\ud800"}, many):
        refused = await world.call("PATCH", "/apps/shop/config-vars", body)
        assert (refused.status, refused.json["id"]) in ((422, "invalid_params"), (400, "bad_request")), body
    assert await world.get("/apps/shop/config-vars") == {}
    kept = {"QUOTES": "'\"`$(id)\\", "LINES": "a\nb\r\n\tc\n", "OTHERS": "é\u202e😀", "LD_PRELOAD": "/no.so"}
    assert (await world.call("PATCH", "/apps/shop/config-vars", kept)).status == 200
    assert await world.get("/apps/shop/config-vars") == kept


@pytest.mark.row("S01", "what is another's, by every route, and ids of one app under another")
async def test_what_is_one_app_s_is_not_found_under_another(world: World) -> None:
    """Bites: look for a build or release by its id alone, and it is found."""
    await world.deployed(await world.create("one"))
    await world.deployed(await world.create("two"))
    for kind in ("releases", "builds", "dynos"):
        for entry in await world.get(f"/apps/one/{kind}"):
            assert (await world.call("GET", f"/apps/one/{kind}/{entry['id']}")).status == 200
            foreign = await world.call("GET", f"/apps/two/{kind}/{entry['id']}")
            nobody = "00000000-0000-4000-8000-000000000000"
            absent = await world.call("GET", f"/apps/two/{kind}/{nobody}")
            assert (foreign.status, foreign.raw.replace(entry["id"].encode(), nobody.encode())) == (404, absent.raw)


@pytest.mark.row("S02", "no token, wrong ones, guesses; none kept as it is")
async def test_tokens_are_kept_as_digests(world: World, tmp_path: Path) -> None:
    """Bites: keep the token beside its digest, and it is found."""
    await person(world, "ann@example.org")
    issued = await world.parts.authorizations.issue(world.owner, "another")
    assert (await world.ask("GET", f"/account?token={TOKEN}")).status == 401
    kept = contents(tmp_path)
    assert any(b"SQLite format 3" in data for data in kept.values())
    for secret in (TOKEN, issued.secret):
        assert [name for name, data in kept.items() if secret.encode() in data] == []


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
