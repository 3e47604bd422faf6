"""Log drains over the wire: made, found by whatever names them, ended; and no password of theirs told to a log."""

import json
from urllib.parse import quote

import structlog

from tests.paasd.api.world import World

URL = "https://ann:s3cret@127.0.0.1:9/logs?x=1"


async def test_from_add_to_remove(world: World) -> None:
    await world.create()
    made = await world.call("POST", "/apps/shop/log-drains", {"url": URL})
    assert made.status == 201 and made.json["url"] == URL and made.json["addon"] is None
    assert made.json["token"].startswith("d.") and made.json["app"]["name"] == "shop"
    assert await world.get("/apps/shop/log-drains") == [made.json]
    for name in (made.json["id"], made.json["token"], quote(URL, safe="")):
        assert await world.get(f"/apps/shop/log-drains/{name}") == made.json
    again = await world.call("POST", "/apps/shop/log-drains", {"url": URL})
    assert (again.status, again.json["resource"]) == (422, "log_drain")
    gone = await world.call("DELETE", f"/apps/shop/log-drains/{quote(URL, safe='')}")
    assert (gone.status, gone.json) == (200, made.json)
    assert await world.get("/apps/shop/log-drains") == []
    missing = await world.call("DELETE", f"/apps/shop/log-drains/{made.json['token']}")
    assert (missing.status, missing.json["resource"]) == (404, "log_drain")
    for url in (None, "10.0.0.1", "syslog://10.0.0.1:514", "https://169.254.169.254/"):
        assert (await world.call("POST", "/apps/shop/log-drains", {"url": url})).status == 422


async def test_a_password_in_a_url_is_told_to_no_log(world: World) -> None:
    """Bites: with `raw_path` in place of `shown_path`, each of the three tells it."""
    await world.create()
    numbers = {"Request_Id": "0" * 8 + "-0000-4000-8000-" + "0" * 12}
    with structlog.testing.capture_logs() as said:
        await world.call("POST", "/apps/shop/log-drains", {"url": URL})
        for path in (quote(URL, safe=""), URL):
            await world.call("GET", f"/apps/shop/log-drains/{path}")
        gone = await world.call("DELETE", f"/apps/shop/log-drains/{quote(URL, safe='')}", **numbers)
        other = await world.call("DELETE", f"/apps/shop/log-drains/{quote(URL + '2', safe='')}", **numbers)
    assert (gone.status, other.status) == (200, 404)  # another path is another call, though the number is the same
    assert [line["path"] for line in said if line["event"] == "request"][1] == "/apps/shop/log-drains/(url)"
    audit = await world.get("/apps/shop/audit")
    assert "log-drains/(url)" in json.dumps(audit)
    assert "s3cret" not in json.dumps([said, audit], default=str)
    database = world.store._database.path
    for file in (database, database.with_suffix(".db-wal")):
        assert b"s3cret" not in file.read_bytes()


async def test_the_drains_of_an_app_go_with_it(world: World) -> None:
    app = await world.create()
    await world.call("POST", "/apps/shop/log-drains", {"url": URL})
    assert (await world.call("DELETE", "/apps/shop")).status == 200
    assert await world.store.drains(app.id) == []
