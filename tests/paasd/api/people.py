"""Other people in a world of the API: each with a token of their own."""

from collections.abc import Iterable

from paasd.domain.access import Account, Permission, Scope
from paasd.domain.app import App
from tests.paasd.api.world import ACCEPT, Answer, World


class Person:
    """Somebody who calls the API."""

    def __init__(self, world: World, account: Account, secret: str) -> None:
        self.world = world
        self.account = account
        self.secret = secret

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        headers = {"Accept": ACCEPT, "Authorization": f"Bearer {self.secret}"}
        return await self.world.ask(method, path, json=body, headers=headers)


async def person(
    world: World, email: str, scopes: Iterable[Scope] = (Scope.GLOBAL,), *, password: str | None = None
) -> Person:
    """A new account that is no admin, with a token of these scopes."""
    account = await world.parts.access.create_account(email, None, password)
    issued = await world.parts.authorizations.issue(account, "laptop", tuple(scopes))
    return Person(world, account, issued.secret)


async def share(world: World, app: App, one: Person, *permissions: Permission) -> None:
    await world.parts.authorizations.share(app, one.account.id, frozenset(permissions))
