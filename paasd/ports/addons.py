"""Port AddonProvider: where the things that add-ons stand for come from. One contract suite runs over all providers."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from paasd.domain.addon import Kind, Plan
from paasd.ports.engine import Shell, Size


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be provided. `name` is also the server's host name where it has one of its own.

    `secret` is the password; `apps` the ids of all apps that it is attached to, which alone may reach it. For partners
    alone: what it is `called` by now, and as in Addon `resource`, `values` and `options`.
    """

    addon_id: str
    name: str
    kind: Kind
    plan: Plan
    apps: tuple[str, ...]
    secret: str = field(repr=False)
    called: str = ""
    resource: str | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Provided:
    """What a partner gave: what it calls it, config vars by what follows the attachment's name, and a sentence.

    `pending`: it is not there yet; the partner tells us at our API when it is.
    """

    resource: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    message: str = ""
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """How it is. `detail` is a sentence when it is not up. `facts` are for people: {"PG Version": "15.8"}."""

    up: bool
    detail: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    used: int | None = None  # bytes of data


@dataclass(frozen=True, slots=True)
class Access:
    """Where a client reaches it from an app: what its URL is made of. Secrets are not shown. Of a partner's add-on
    nothing is known but its config vars, `config`, by what follows the attachment's name."""

    host: str
    port: int
    user: str
    database: str  # "" where there are none
    url: str = field(repr=False)
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def variables(self) -> Mapping[str, str]:
        """What an attachment gives its app, by what follows its name."""
        return self.config or ({"URL": self.url} if self.url else {})


class AddonProvider(Protocol):
    """Every method may be repeated after a crash, and goes on where the call before it was killed.

    All raise Unavailable when what they need does not answer, ProviderFailed for what trying again won't mend.
    An add-on that is not there: NotFound, but for those that take away.
    """

    name: str  # "container"

    async def __aenter__(self) -> "AddonProvider": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def problem(self, kind: Kind) -> str | None:
        """Why add-ons of this kind can't be had here, and the remedy: a sentence. None: they can."""

    async def provision(self, order: Order) -> Provided | None:
        """Make it, and return when it answers the apps' user, or, from a partner, with what it gave. Cancelled or
        failed: nothing is left but data that was there before."""

    async def access(self, order: Order, app_id: str) -> Access:
        """For that app's config vars. The same for as long as secret and link are."""

    async def link(self, order: Order, app_id: str) -> None:
        """Let that app's dynos reach it. Done before: fine."""

    async def unlink(self, order: Order, app_id: str) -> None:
        """That app's dynos reach it no more, nor with connections that are open. Not linked: fine."""

    async def resize(self, order: Order) -> Provided | None:
        """Put the order's plan in force; no data is touched. What a partner gave. InvalidParams where the data would
        not fit."""

    async def rotate(self, order: Order) -> None:
        """Make the order's secret the password. When it returns, the one before is refused."""

    async def hang_up(self, order: Order) -> None:
        """End all connections of the apps' user."""

    async def reset(self, order: Order) -> None:
        """Empty it: as it was when it was provisioned, with the same access."""

    async def condition(self, order: Order) -> Condition:
        """Asked of it, never from memory. One that is down is an answer, not an error."""

    async def mend(self, orders: Sequence[Order]) -> None:
        """These should run, with their links: start again what was killed. What is not among them is left alone."""

    async def tool(
        self,
        order: Order,
        argv: Sequence[str],
        env: Mapping[str, str] = {},
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
    ) -> Shell:
        """One of the server's own client programs ("psql", "pg_dump", "pg_restore", "redis-cli"), on the apps' user's
        behalf, beside the server: access is in its environment (PGHOST …, REDISCLI_AUTH), never in its argv.

        On a terminal of `size`, or on pipes. With `errors` (on pipes only) its stderr goes there, piece by piece until
        the output ends, and the output is its stdout alone: a dump is bytes. InvalidParams where there is none.
        """

    async def set_aside(self, order: Order) -> None:
        """Stop it and keep its data. Absent: fine."""

    async def bring_back(self, order: Order) -> None:
        """What was set aside runs again, with its data. NotFound when that is gone."""

    async def purge(self, order: Order) -> None:
        """Its data too. The only method that removes data; absent: fine."""

    async def kept(self) -> Sequence[str]:
        """The ids of all add-ons of this home of which something is here, also what was set aside."""


@runtime_checkable
class Watched(Protocol):
    """A provider that has its servers itself, and so hears of their end."""

    def endings(self) -> AsyncGenerator[str | None, None]:
        """None once it listens, since what ended before that is not told; then the id of each add-on of this home whose
        server ended, whoever ended it. Ends, or raises Unavailable, when what it needs went away."""
