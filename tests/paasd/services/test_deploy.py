"""One deploy as one story, and every way it can end."""

from tests.paasd.services.world import World


async def test_push_build_release_served(world: World) -> None:
    app = await world.create()
    assert world.answer() == "H81"
    seen = await world.push(app, "web: serve\nrelease: migrate")
    assert world.answer() == "v2"
    print(seen)
    assert await world.output(app, 2) == b"Applying 0001_initial... OK\r\n\xffno newline"
    print(await world.ledger_of(app), world.engine.journal, world.lines(app))
