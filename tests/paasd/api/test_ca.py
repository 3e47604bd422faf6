"""GET /paasd/ca."""

from tests.paasd.api.world import World


async def test_the_certificate_is_given_to_whoever_has_a_token(world: World) -> None:
    answer = await world.call("GET", "/paasd/ca")
    assert (answer.status, answer.json) == (200, {"certificate": "the authority's certificate"})
