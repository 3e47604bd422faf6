"""Who is asking, and what they may do: tokens and passwords in, accounts out; permissions on apps.

A token is known by its SHA-256 only, a password by its salted scrypt.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from paasd.domain.access import (
    ALL_PERMISSIONS,
    Account,
    Permission,
    Scope,
    Token,
    check_email,
    check_password,
)
from paasd.domain.app import App
from paasd.domain.errors import Forbidden, NotFound, Unauthorized
from paasd.ports import Store

OWNER_TOKEN = "owner"  # noqa: S105 - a name, not a secret
COST, BLOCK, SALT_BYTES = 2**14, 8, 16  # scrypt: 16 MB and some 50 ms a guess


@dataclass(frozen=True, slots=True)
class Access:
    """Accounts, what they know, and what they may do."""

    store: Store

    async def authenticate(self, token: str) -> tuple[Account, Token]:
        """The account and token that this secret stands for. Raises Unauthorized."""
        found = await self.store.account_of_token(fingerprint(token)) if token else None
        if found is None:
            raise Unauthorized("Invalid credentials provided; see `paasd token` for this daemon's token.")
        if found[1].expired(datetime.now(UTC)):
            raise Unauthorized("This token has expired; make another with `heroku authorizations:create`.")
        return found

    async def authenticate_password(self, email: str, password: str) -> Account:
        """Raises Unauthorized, after the same time for an account that is not there."""
        try:
            account = await self.store.account(email)
            kept = await self.store.password(account.id)
        except NotFound:
            account, kept = None, None
        right = await asyncio.to_thread(matches, password, kept)
        if account is None or not right:
            raise Unauthorized("The e-mail address or the password is wrong; try again, or ask an admin of this paasd.")
        return account

    async def ensure_owner(self, email: str, secret: str) -> Account:
        """The owner's account, made at first start, with `secret` as its token. May be repeated."""
        now = datetime.now(UTC)
        accounts = await self.store.accounts()
        owner = accounts[0] if accounts else Account(str(uuid.uuid4()), email, None, now, admin=True)
        token = Token(str(uuid.uuid4()), owner.id, OWNER_TOKEN, fingerprint(secret), now)
        if not accounts:
            await self.store.insert_account(owner, token)
        elif await self.store.account_of_token(token.sha256) is None:
            await self.store.replace_token(token)
        return owner

    async def create_account(
        self, email: str, name: str | None, password: str | None, *, admin: bool = False
    ) -> Account:
        """A person who can log in, if there is a password. Raises InvalidParams, Conflict."""
        account = Account(str(uuid.uuid4()), check_email(email), name, datetime.now(UTC), admin)
        stretched = None if password is None else await asyncio.to_thread(stretch, check_password(password))
        await self.store.insert_account(account)
        if stretched is not None:
            await self.store.set_password(account.id, stretched)
        return account

    async def find(self, email_or_id: str) -> Account:
        """Raises NotFound."""
        return await self.store.account(email_or_id)

    async def all(self) -> Sequence[Account]:
        """Oldest first."""
        return await self.store.accounts()

    async def set_password(self, account: Account, password: str) -> None:
        """Raises InvalidParams."""
        await self.store.set_password(account.id, await asyncio.to_thread(stretch, check_password(password)))

    async def delete_account(self, actor: Account, email_or_id: str) -> Account:
        """Raises NotFound; Conflict while it owns apps; Forbidden for oneself."""
        account = await self.store.account(email_or_id)
        if account.id == actor.id:
            raise Forbidden("Nobody removes their own account; ask another admin.")
        await self.store.delete_account(account.id)
        return account

    async def permissions(self, account: Account, app: App) -> frozenset[Permission]:
        """What the account may do to the app; nothing: it must not even learn that there is such an app."""
        if account.admin or account.id == app.owner_id:
            return ALL_PERMISSIONS
        found = await self.store.collaborators(app_id=app.id, account_id=account.id)
        return found[0].permissions if found else frozenset()

    async def visible(self, account: Account, apps: Sequence[App]) -> Sequence[App]:
        """Those of `apps` that the account may see."""
        if account.admin:
            return apps
        shared = {one.app_id for one in await self.store.collaborators(account_id=account.id)}
        return [app for app in apps if app.owner_id == account.id or app.id in shared]

    async def admit(self, account: Account, token: Token, app: App, wanted: Permission, scope: Scope) -> None:
        """Raises NotFound for an app that is not the account's to see, Forbidden for what it may not do to it."""
        held = await self.permissions(account, app)
        if not held:
            raise no_app()
        if not token.covers(scope):
            raise out_of_scope(token, scope)
        if wanted not in held:
            raise Forbidden(
                f"You may not do this to {app.name}: it needs the permission {wanted.value}; ask its owner, "
                f"{app.owner_email}.",
                resource="app",
            )


def no_app() -> NotFound:
    """The words for an app that is not there, or not the caller's to see: one can't be told from the other."""
    return NotFound("Couldn't find that app; list yours with `heroku apps`.", resource="app")


def out_of_scope(token: Token, scope: Scope) -> Forbidden:
    """What a token was not made for."""
    held = ", ".join(each.value for each in token.scopes)
    return Forbidden(f"This token's scope is {held}, and {scope.value} is needed; use another token.")


def fingerprint(secret: str) -> str:
    """What is kept of a token: its SHA-256 in hex. Tokens are 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def stretch(password: str) -> str:
    """What is kept of a password: "scrypt$N$r$salt$hash". Slow on purpose."""
    salt = secrets.token_bytes(SALT_BYTES)
    return f"scrypt${COST}${BLOCK}${_text(salt)}${_text(_derive(password, salt, COST, BLOCK))}"


def matches(password: str, kept: str | None) -> bool:
    """Whether `password` is the one that was stretched; never where nothing is kept, but after as long."""
    _, cost, block, salt, wanted = (kept or f"scrypt${COST}${BLOCK}${_text(bytes(SALT_BYTES))}$").split("$")
    derived = _derive(password, base64.b64decode(salt), int(cost), int(block))
    return hmac.compare_digest(derived, base64.b64decode(wanted)) and kept is not None


def _derive(password: str, salt: bytes, cost: int, block: int) -> bytes:
    data = password.encode(errors="surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=cost, r=block, p=1, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
