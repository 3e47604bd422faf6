"""Disk use over the wire."""

from tests.paasd.api.world import World


async def test_who_uses_what(world: World) -> None:
    await world.create()
    found = await world.get("/paasd/disk")
    assert found["apps"] == [{"name": "shop", "images": 0, "image_bytes": 0, "output_bytes": 0}]
    assert (found["high_percent"], found["full_percent"], found["keep_releases"]) == (80, 90, 20)
    assert found["disks"][0]["path"] == "/"
    assert found["disks"][0]["status"] in ("ok", "high", "full")
