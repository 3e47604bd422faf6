"""The tokens of an account, its SSH keys, and who else may do what to an app."""

import base64
import binascii
import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from paasd.domain.access import (
    Account,
    Collaborator,
    Permission,
    PublicKey,
    Scope,
    Token,
    TokenKind,
    check_token_name,
)
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound
from paasd.ports import Store
from paasd.services.access import fingerprint

TOKEN_BYTES = 32
LONGEST = timedelta(days=3650)
KEY_TYPES = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-ed25519@", "sk-ecdsa-sha2-")
KEY_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class Issued:
    """A token with its secret, which is told this once and kept nowhere."""

    token: Token
    secret: str


@dataclass(frozen=True, slots=True)
class Authorizations:
    """Use cases on tokens, keys and collaborators."""

    store: Store

    async def issue(
        self,
        account: Account,
        name: str,
        scopes: Sequence[Scope] = (Scope.GLOBAL,),
        seconds: float | None = None,
        kind: TokenKind = TokenKind.AUTHORIZATION,
    ) -> Issued:
        """A new token, for so many seconds or for good. Raises InvalidParams."""
        now = datetime.now(UTC)
        if seconds is not None and not 0 < seconds <= LONGEST.total_seconds():
            raise InvalidParams(f"expires_in must be from 1 second to {LONGEST.days} days; send seconds.")
        end = None if seconds is None else now + timedelta(seconds=seconds)
        secret = secrets.token_hex(TOKEN_BYTES)
        token = Token(
            str(uuid.uuid4()), account.id, check_token_name(name), fingerprint(secret), now, tuple(scopes), end, kind
        )
        await self.store.insert_token(token)
        return Issued(token, secret)

    async def all(self, account: Account, kind: TokenKind = TokenKind.AUTHORIZATION) -> Sequence[Token]:
        """Oldest first, also expired ones."""
        return await self.store.tokens(account.id, kind)

    async def find(self, account: Account, token_id: str, kind: TokenKind = TokenKind.AUTHORIZATION) -> Token:
        """Raises NotFound, also for another account's."""
        for token in await self.store.tokens(account.id, kind):
            if token.id == token_id:
                return token
        raise NotFound(f"Couldn't find that {kind.value}; see `heroku {kind.value}s`.", resource=kind.value)

    async def rename(self, token: Token, name: str) -> Token:
        """Raises InvalidParams."""
        renamed = replace(token, name=check_token_name(name))
        await self.store.update_token(renamed)
        return renamed

    async def regenerate(self, token: Token) -> Issued:
        """Another secret for the same authorization; the old one is refused from now on."""
        secret = secrets.token_hex(TOKEN_BYTES)
        issued = Issued(replace(token, sha256=fingerprint(secret)), secret)
        await self.store.update_token(issued.token)
        return issued

    async def revoke(self, token: Token) -> None:
        """Refused from now on. May be repeated."""
        await self.store.delete_token(token.id)

    async def add_key(self, account: Account, text: str) -> PublicKey:
        """An SSH public key as its .pub file has it. Raises InvalidParams, Conflict."""
        key = parse_key(account, text)
        await self.store.insert_key(key)
        return key

    async def keys(self, account: Account) -> Sequence[PublicKey]:
        """Oldest first."""
        return await self.store.keys(account.id)

    async def key(self, account: Account, id_or_fingerprint: str) -> PublicKey:
        """Raises NotFound."""
        for key in await self.store.keys(account.id):
            if id_or_fingerprint in (key.id, key.fingerprint):
                return key
        raise NotFound("Couldn't find that key; see `heroku keys`.", resource="key")

    async def remove_key(self, key: PublicKey) -> None:
        """May be repeated."""
        await self.store.delete_key(key.id)

    async def share(self, app: App, email_or_id: str, permissions: frozenset[Permission]) -> Collaborator:
        """Let an account do this to the app, no more and no less. Raises NotFound, InvalidParams."""
        account = await self.store.account(email_or_id)
        if account.id == app.owner_id:
            raise InvalidParams(f"{account.email} owns {app.name} and may do everything; name somebody else.")
        before = await self.store.collaborators(app_id=app.id, account_id=account.id)
        now = datetime.now(UTC)
        made = before[0] if before else None
        one = Collaborator(
            made.id if made else str(uuid.uuid4()),
            app.id,
            account.id,
            account.email,
            permissions,
            made.created_at if made else now,
            now,
        )
        await self.store.set_collaborator(one)
        return one

    async def collaborators(self, app: App) -> Sequence[Collaborator]:
        """By e-mail, without the owner."""
        return await self.store.collaborators(app_id=app.id)

    async def collaborator(self, app: App, email_or_id: str) -> Collaborator:
        """Raises NotFound."""
        for one in await self.store.collaborators(app_id=app.id):
            if email_or_id.lower() in (one.email, one.account_id, one.id):
                return one
        raise NotFound("Couldn't find that collaborator; see `heroku access`.", resource="collaborator", app=app.name)

    async def unshare(self, one: Collaborator) -> None:
        """May be repeated."""
        await self.store.delete_collaborator(one.app_id, one.account_id)


def parse_key(account: Account, text: str) -> PublicKey:
    """Raises InvalidParams for what is no public key."""
    words = text.strip().split(None, 2)
    wrong = InvalidParams("This is not an SSH public key; send the content of a .pub file.")
    if (
        len(words) < 2
        or len(text) > KEY_CHARACTERS
        or not words[0].startswith(KEY_TYPES)
        or not text.strip().isprintable()
    ):
        raise wrong
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong from error
    if blob[4 : 4 + len(words[0])] != words[0].encode():
        raise wrong
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    comment = words[2] if len(words) > 2 else ""
    return PublicKey(str(uuid.uuid4()), account.id, text.strip(), f"SHA256:{digest}", comment, datetime.now(UTC))
