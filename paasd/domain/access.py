"""Who may do things: accounts, their tokens, and the actor that a release remembers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Account:
    """A person. `id` is a UUID."""

    id: str
    email: str
    name: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, known by its SHA-256 only. `name` says what it is for."""

    id: str
    account_id: str
    name: str
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused a write: the account, the token's name and the source address ("127.0.0.1", or "daemon")."""

    account_id: str
    email: str
    token: str
    address: str
