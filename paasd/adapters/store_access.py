"""The part of the store that knows people: accounts, their tokens and keys, and who may do what to whose app."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from paasd.adapters.database import Database
from paasd.adapters.tables import accounts, apps, collaborators, keys, tokens
from paasd.adapters.token_cache import TokenCache
from paasd.domain.access import Account, Collaborator, Permission, PublicKey, Scope, Token, TokenKind
from paasd.domain.errors import Conflict, NotFound

AnyRow = Row[Any]
TOKEN_COLUMNS = tuple(column.label(f"token_{column.name}") for column in tokens.c)


class AccessTables:
    """Port Store, the part of accounts, tokens, keys and collaborators."""

    _database: Database
    _known: TokenCache

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[AsyncConnection]:
        """A write to accounts or tokens."""
        self._known.forget()
        try:
            async with self._database.write() as connection:
                yield connection
        finally:
            self._known.forget()  # also what was read beside it

    async def insert_account(self, account: Account, token: Token | None = None) -> None:
        """Conflict when the e-mail is taken."""
        async with self._change() as connection:
            if await connection.scalar(select(exists().where(accounts.c.email == account.email))):
                raise Conflict(f"There is an account for {account.email} already; choose another e-mail address.")
            await connection.execute(insert(accounts), _account_values(account))
            if token is not None:
                await connection.execute(insert(tokens), _token_values(token))

    async def accounts(self) -> Sequence[Account]:
        """All, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(accounts).order_by(accounts.c.created_at, accounts.c.id))
            return [_to_account(row) for row in rows]

    async def account(self, email_or_id: str) -> Account:
        """NotFound when there is none."""
        wanted = or_(accounts.c.email == email_or_id.lower(), accounts.c.id == email_or_id)
        async with self._database.read() as connection:
            row = (await connection.execute(select(accounts).where(wanted))).first()
        if row is None:
            raise no_account()
        return _to_account(row)

    async def delete_account(self, account_id: str) -> None:
        """With its tokens, keys and what it may do. Conflict while it owns apps, also destroyed ones."""
        async with self._change() as connection:
            if await connection.scalar(select(exists().where(apps.c.owner_id == account_id))):
                raise Conflict(
                    "This account owns apps, or did; give them to another account with `paas apps:transfer`."
                )
            for table in (tokens, keys, collaborators):
                await connection.execute(delete(table).where(table.c.account_id == account_id))
            await connection.execute(delete(accounts).where(accounts.c.id == account_id))

    async def password(self, account_id: str) -> str | None:
        """The stretched password; None where the account has none."""
        async with self._database.read() as connection:
            found: str | None = await connection.scalar(select(accounts.c.password).where(accounts.c.id == account_id))
        return found

    async def set_password(self, account_id: str, stretched: str | None) -> None:
        """Replace it."""
        async with self._database.write() as connection:
            change = update(accounts).where(accounts.c.id == account_id).values(password=stretched)
            await connection.execute(change)

    async def account_of_token(self, sha256: str) -> tuple[Account, Token] | None:
        """Who a token belongs to; None when nobody."""
        joined = accounts.join(tokens, tokens.c.account_id == accounts.c.id)
        query = select(accounts, *TOKEN_COLUMNS).select_from(joined)

        async def read() -> tuple[Account, Token] | None:
            async with self._database.read() as connection:
                row = (await connection.execute(query.where(tokens.c.sha256 == sha256))).first()
            return None if row is None else (_to_account(row), _to_token(row, "token_"))

        return await self._known.find(sha256, read)

    async def tokens(self, account_id: str, kind: TokenKind) -> Sequence[Token]:
        """Oldest first."""
        query = select(tokens).where(tokens.c.account_id == account_id, tokens.c.kind == kind.value)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(tokens.c.created_at, tokens.c.id))
            return [_to_token(row) for row in rows]

    async def insert_token(self, token: Token) -> None:
        """NotFound when there is no such account."""
        async with self._change() as connection:
            await connection.execute(insert(tokens), _token_values(token))

    async def replace_token(self, token: Token) -> None:
        """Make it the account's only token of that name. NotFound when there is no such account."""
        same = and_(tokens.c.account_id == token.account_id, tokens.c.name == token.name)
        async with self._change() as connection:
            await connection.execute(delete(tokens).where(same))
            await connection.execute(insert(tokens), _token_values(token))

    async def update_token(self, token: Token) -> None:
        """Its name and its secret. Absent: nothing happens."""
        change = update(tokens).where(tokens.c.id == token.id).values(name=token.name, sha256=token.sha256)
        async with self._change() as connection:
            await connection.execute(change)

    async def delete_token(self, token_id: str) -> None:
        """Absent: fine."""
        async with self._change() as connection:
            await connection.execute(delete(tokens).where(tokens.c.id == token_id))

    async def insert_key(self, key: PublicKey) -> None:
        """Conflict when somebody has added it already."""
        async with self._database.write() as connection:
            if await connection.scalar(select(exists().where(keys.c.fingerprint == key.fingerprint))):
                raise Conflict("This SSH key was added already; see `heroku keys`, or add another one.")
            values = {name: getattr(key, name) for name in (column.name for column in keys.c)}
            await connection.execute(insert(keys), values)

    async def keys(self, account_id: str) -> Sequence[PublicKey]:
        """Oldest first."""
        query = select(keys).where(keys.c.account_id == account_id).order_by(keys.c.created_at, keys.c.id)
        async with self._database.read() as connection:
            return [PublicKey(**row._mapping) for row in await connection.execute(query)]

    async def delete_key(self, key_id: str) -> None:
        """Absent: fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(keys).where(keys.c.id == key_id))

    async def set_collaborator(self, one: Collaborator) -> None:
        """Add it, or replace what the account might do to the app. NotFound when either is gone."""
        same = and_(collaborators.c.app_id == one.app_id, collaborators.c.account_id == one.account_id)
        values = {
            "id": one.id,
            "app_id": one.app_id,
            "account_id": one.account_id,
            "permissions": sorted(one.permissions),
            "created_at": one.created_at,
            "updated_at": one.updated_at,
        }
        async with self._database.write() as connection:
            await connection.execute(delete(collaborators).where(same))
            await connection.execute(insert(collaborators), values)

    async def collaborators(
        self, *, app_id: str | None = None, account_id: str | None = None
    ) -> Sequence[Collaborator]:
        """Of an app, of an account, or both, by e-mail."""
        joined = collaborators.join(accounts, accounts.c.id == collaborators.c.account_id)
        query = select(collaborators, accounts.c.email).select_from(joined).order_by(accounts.c.email)
        if app_id is not None:
            query = query.where(collaborators.c.app_id == app_id)
        if account_id is not None:
            query = query.where(collaborators.c.account_id == account_id)
        async with self._database.read() as connection:
            return [_to_collaborator(row) for row in await connection.execute(query)]

    async def delete_collaborator(self, app_id: str, account_id: str) -> None:
        """Absent: fine."""
        same = and_(collaborators.c.app_id == app_id, collaborators.c.account_id == account_id)
        async with self._database.write() as connection:
            await connection.execute(delete(collaborators).where(same))


def no_account() -> NotFound:
    """Who is not there."""
    return NotFound(
        "Couldn't find that user; an admin adds people with `paas accounts:create E-MAIL`.", resource="user"
    )


def _account_values(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "created_at": account.created_at,
        "admin": account.admin,
    }


def _to_account(row: AnyRow) -> Account:
    return Account(row.id, row.email, row.name, row.created_at, row.admin)


def _token_values(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "account_id": token.account_id,
        "name": token.name,
        "sha256": token.sha256,
        "created_at": token.created_at,
        "scopes": list(token.scopes),
        "expires_at": token.expires_at,
        "kind": token.kind.value,
    }


def _to_token(row: AnyRow, prefix: str = "") -> Token:
    found = {name: row._mapping[f"{prefix}{name}"] for name in (column.name for column in tokens.c)}
    expires: datetime | None = found["expires_at"]
    return Token(
        id=found["id"],
        account_id=found["account_id"],
        name=found["name"],
        sha256=found["sha256"],
        created_at=found["created_at"],
        scopes=tuple(Scope(name) for name in found["scopes"]),
        expires_at=expires,
        kind=TokenKind(found["kind"]),
    )


def _to_collaborator(row: AnyRow) -> Collaborator:
    permissions = frozenset(Permission(name) for name in row.permissions)
    return Collaborator(row.id, row.app_id, row.account_id, row.email, permissions, row.created_at, row.updated_at)
