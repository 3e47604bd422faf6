"""A call that its client may send again: what tells it from others, and how it was answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """`number` is the client's own UUID for it; `digest`: SHA-256 of its body, which does not tell it apart."""

    account_id: str
    number: str
    method: str
    path: str
    digest: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """`digest` of the body that it was asked with. `status` 0: it wrote something, and its answer is not known."""

    digest: str
    status: int = 0
    body: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
