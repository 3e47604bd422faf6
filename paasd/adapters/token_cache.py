"""Whose tokens are whose, as read before: every API call asks, and the answer changes only by writes through here."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from paasd.domain.access import Account, Token

KNOWN_MAX = 1000

Found = tuple[Account, Token] | None


class TokenCache:
    """By a token's SHA-256; those that belong to nobody are not kept. Bounded: the one not asked for longest goes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Account, Token]] = OrderedDict()
        self._changes = 0

    async def find(self, sha256: str, read: Callable[[], Awaitable[Found]]) -> Found:
        """What is known, or what `read` finds. What was read while something was written is not kept."""
        if (known := self._known.get(sha256)) is not None:
            self._known.move_to_end(sha256)
            return known
        before = self._changes
        found = await read()
        if found is not None and before == self._changes:
            self._known[sha256] = found
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Accounts or tokens have been written, or are about to be: call it before and after."""
        self._changes += 1
        self._known.clear()
