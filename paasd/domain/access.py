"""Who may do things: accounts, their tokens, what each may do to an app, and the actor that a release remembers."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from paasd.domain.errors import InvalidParams

EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")
PASSWORD_CHARACTERS = range(10, 257)
NAME_CHARACTERS = 100
SHOWN_OF_TOKEN = 64  # characters of its name, in a line of the log


class Scope(StrEnum):
    """What a token was made for. The protected ones reach config vars and releases too; GLOBAL reaches all."""

    GLOBAL = "global"
    READ = "read"
    WRITE = "write"
    READ_PROTECTED = "read-protected"
    WRITE_PROTECTED = "write-protected"
    IDENTITY = "identity"


COVERS: Mapping[Scope, frozenset[Scope]] = {
    Scope.GLOBAL: frozenset(Scope),
    Scope.WRITE_PROTECTED: frozenset(Scope) - {Scope.GLOBAL},
    Scope.READ_PROTECTED: frozenset({Scope.READ_PROTECTED, Scope.READ, Scope.IDENTITY}),
    Scope.WRITE: frozenset({Scope.WRITE, Scope.READ, Scope.IDENTITY}),
    Scope.READ: frozenset({Scope.READ, Scope.IDENTITY}),
    Scope.IDENTITY: frozenset({Scope.IDENTITY}),
}
"""What each scope may be used for: itself and all that it includes."""


class Permission(StrEnum):
    """What a collaborator may do to one app: see it, run it, change what it runs, decide over it."""

    VIEW = "view"
    OPERATE = "operate"
    DEPLOY = "deploy"
    MANAGE = "manage"


ALL_PERMISSIONS = frozenset(Permission)
COLLABORATOR = frozenset({Permission.VIEW, Permission.OPERATE, Permission.DEPLOY})
"""What `heroku access:add` grants when nothing else is said, as on Heroku."""


class TokenKind(StrEnum):
    """An authorization is made by hand, for a program; a session by logging in with a browser."""

    AUTHORIZATION = "authorization"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Account:
    """A person. `id` is a UUID. An admin may do everything to every app: the daemon's owner is one."""

    id: str
    email: str
    name: str | None
    created_at: datetime
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, known by its SHA-256 only. `name` says what it is for."""

    id: str
    account_id: str
    name: str
    sha256: str
    created_at: datetime
    scopes: tuple[Scope, ...] = (Scope.GLOBAL,)
    expires_at: datetime | None = None
    kind: TokenKind = TokenKind.AUTHORIZATION

    def covers(self, wanted: Scope) -> bool:
        """Whether it may be used for something that needs this scope."""
        return any(wanted in COVERS[scope] for scope in self.scopes)

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Collaborator:
    """An account that may do something to an app it does not own."""

    id: str
    app_id: str
    account_id: str
    email: str
    permissions: frozenset[Permission]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An SSH key of an account. `fingerprint` is "SHA256:…", `comment` what stood behind the key."""

    id: str
    account_id: str
    public_key: str
    fingerprint: str
    comment: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused a write: the account, the token's name and the source address ("127.0.0.1", or "daemon")."""

    account_id: str
    email: str
    token: str
    address: str

    @property
    def shown(self) -> str:
        """ "ann@example.org (laptop)", as a line of the log names person and token."""
        token = "".join(letter if letter.isprintable() else " " for letter in self.token[:SHOWN_OF_TOKEN]).strip()
        return f"{self.email} ({token})" if token else self.email


def check_email(text: str) -> str:
    """In lower case. Raises InvalidParams for what is no e-mail address."""
    if not EMAIL.fullmatch(text) or ".." in text:
        raise InvalidParams("The e-mail address is not one; write it as in ann@example.org.")
    return text.lower()


def check_password(text: str) -> str:
    """Raises InvalidParams for one that is too short to be one."""
    if len(text) not in PASSWORD_CHARACTERS:
        raise InvalidParams("A password has 10 to 256 characters; choose another one.")
    return text


def check_token_name(text: str) -> str:
    """Raises InvalidParams for a description that would not fit a line of a table or a log."""
    if not text.strip() or len(text) > NAME_CHARACTERS or not text.isprintable():
        raise InvalidParams(f"A description is one line of at most {NAME_CHARACTERS} characters; choose another one.")
    return text.strip()


def parse_scopes(names: Iterable[object]) -> tuple[Scope, ...]:
    """From the wire, each once. Raises InvalidParams naming the scopes there are."""
    try:
        scopes = tuple(dict.fromkeys(Scope(str(name)) for name in names))
    except ValueError as error:
        known = ", ".join(scope.value for scope in Scope)
        raise InvalidParams(f"There is no such scope; the scopes are {known}.") from error
    if not scopes:
        raise InvalidParams("A token needs a scope; name one, such as global.")
    return scopes


def parse_permissions(names: Collection[object]) -> frozenset[Permission]:
    """From the wire; to see an app is part of everything else. Raises InvalidParams naming those there are."""
    try:
        return frozenset(Permission(str(name)) for name in names) | {Permission.VIEW}
    except ValueError as error:
        known = ", ".join(permission.value for permission in Permission)
        raise InvalidParams(f"There is no such permission; the permissions are {known}.") from error
