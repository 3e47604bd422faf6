"""The router's state over the wire."""

from tests.paasd.api.world import World


async def test_status_stop_and_upgrade(world: World) -> None:
    await world.create()
    up = await world.get("/paasd/router")
    assert (up["status"], up["pid"], up["listen"]) == ("up", 4711, "127.0.0.1:8080")
    assert up["table"] == world.router.version
    down = (await world.call("POST", "/paasd/router/stop")).json
    assert down == {"status": "down", "pid": None, "listen": None, "table": None, "started_at": None}
    again = await world.call("POST", "/paasd/router/upgrade", {})
    assert (again.status, again.json["status"]) == (200, "up")
    assert again.json["table"] == up["table"] + 1
