"""What the audit remembers of one write: who, with which token, from where, when, what, and names before and after.

Never a value: a config var's content, a token or a password has no place here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paasd.domain.access import Actor


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A write as it was answered. `path` is the API's ("/apps/shop/config-vars"), or "git push"."""

    at: datetime
    actor: Actor
    method: str
    path: str
    status: int
    request_id: str
    app_id: str | None
    app_name: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry(NewEntry):
    """As it is kept; `id` counts up."""

    id: int
