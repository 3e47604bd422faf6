"""Who is asking: tokens in, accounts out. A token is known by its SHA-256 only."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from paasd.domain.access import Account, Token
from paasd.domain.errors import Unauthorized
from paasd.ports import Store

OWNER_TOKEN = "owner"  # noqa: S105 - a name, not a secret


@dataclass(frozen=True, slots=True)
class Access:
    """Accounts and their tokens."""

    store: Store

    async def authenticate(self, token: str) -> tuple[Account, Token]:
        """The account and token that this secret stands for. Raises Unauthorized."""
        found = await self.store.account_of_token(fingerprint(token)) if token else None
        if found is None:
            raise Unauthorized("Invalid credentials provided; see `paasd token` for this daemon's token.")
        return found

    async def ensure_owner(self, email: str, secret: str) -> Account:
        """The owner's account, made at first start, with `secret` as its token. May be repeated."""
        now = datetime.now(UTC)
        accounts = await self.store.accounts()
        owner = accounts[0] if accounts else Account(str(uuid.uuid4()), email, None, now)
        token = Token(str(uuid.uuid4()), owner.id, OWNER_TOKEN, fingerprint(secret), now)
        if not accounts:
            await self.store.insert_account(owner, token)
        elif await self.store.account_of_token(token.sha256) is None:
            await self.store.replace_token(token)
        return owner


def fingerprint(secret: str) -> str:
    """What is kept of a token: its SHA-256 in hex. Tokens are 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
