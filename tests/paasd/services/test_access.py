"""Tokens in, accounts out; a token is kept by its SHA-256 only."""

import pytest

from paasd.domain.errors import Unauthorized
from paasd.services.access import Access, fingerprint
from tests.paasd.services.world import GatedStore, World


async def test_the_owner_is_made_once_and_a_new_secret_replaces_the_old(store: GatedStore) -> None:
    access = Access(store)
    owner = await access.ensure_owner("ann@example.org", "first")
    assert await access.ensure_owner("other@example.org", "first") == owner
    account, token = await access.authenticate("first")
    assert (account, token.account_id, token.name) == (owner, owner.id, "owner")
    assert await access.ensure_owner("ann@example.org", "second") == owner
    assert (await access.authenticate("second"))[0] == owner
    with pytest.raises(Unauthorized):
        await access.authenticate("first")


@pytest.mark.parametrize("secret", ["", "wrong", "0" * 64])
async def test_a_wrong_or_missing_token_is_refused(world: World, secret: str) -> None:
    with pytest.raises(Unauthorized, match="see `paasd token`"):
        await world.access.authenticate(secret)


def test_what_is_kept_of_a_token_is_not_the_token() -> None:
    assert fingerprint("secret") == "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
