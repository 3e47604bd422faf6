"""Add-ons on a PostgreSQL server that somebody already runs: a role and a database each, which no other role may enter.

All that is known is asked of that server: a database's comment says which add-on of which home it is.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from paasd.adapters import postgres_words
from paasd.adapters.addon_each import check_tool, mend_each
from paasd.adapters.postgres_words import database_of, role_of
from paasd.adapters.process_addon_server import TOOLS, Programs, client_users
from paasd.adapters.process_clients import Clients
from paasd.adapters.process_firewall import UserFirewall
from paasd.adapters.process_launch import Launcher
from paasd.adapters.process_run import BASE_PATH, Runner
from paasd.adapters.process_sandbox import Isolation, examine
from paasd.domain.addon import Kind
from paasd.domain.errors import InvalidParams, NotFound, PaasError, ProviderFailed, Unavailable
from paasd.ports import Access, Condition, Order, Shell, Size

log = structlog.get_logger(__name__)

SECONDS = 60.0
CONNECT_SECONDS = "10"
LEAST_VERSION = 130_000  # DROP DATABASE WITH (FORCE)
AWAY = (
    "connection to server",
    "Is the server running",
    "could not translate host name",
    "starting up",
    "shutting down",
    "terminating",
)
SCHEMES = ("postgres", "postgresql")
CHECK = "SELECT current_setting('server_version_num')::int, rolsuper OR (rolcreaterole AND rolcreatedb) FROM pg_roles "
CHECK += "WHERE rolname = current_user;\n"


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are at that server: "postgres://admin:password@db.example.org:5432/postgres?sslmode=require"."""

    host: str
    port: int
    user: str
    database: str
    sslmode: str | None
    password: str = field(repr=False)

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_login(url: str) -> Login:
    """ValueError, in a sentence that does not tell the URL, where it is none."""
    remedy = "write addons.shared.postgresql in paasd.yaml as postgres://USER:PASSWORD@HOST:PORT/postgres."
    try:
        parts = urlsplit(url)
        host, port, options = parts.hostname, parts.port or 5432, parse_qs(parts.query)
    except ValueError as error:
        raise ValueError(f"The URL of the shared PostgreSQL server can't be read; {remedy}") from error
    if parts.scheme not in SCHEMES or not host or not parts.username:
        raise ValueError(f"The URL of the shared PostgreSQL server has no host or user; {remedy}")
    if options.keys() - {"sslmode"}:
        raise ValueError(f"The URL of the shared PostgreSQL server may have the option sslmode only; {remedy}")
    user, password = unquote(parts.username), unquote(parts.password or "")
    database = unquote(parts.path.strip("/")) or "postgres"
    return Login(host, port, user, database, options.get("sslmode", [None])[0], password)


class SharedAddons:
    """The provider `shared`. `home` names this daemon's home, `place` is its folder; `url` the server's, None: none is
    set. `containers`: dynos have a network of their own; `api`: the port of the API."""

    name = "shared"

    def __init__(
        self,
        home: str,
        place: Path,
        url: str | None,
        *,
        search_path: str = os.defpath,
        bwrap: bool = True,
        containers: bool = False,
        api: int | None = None,
    ) -> None:
        """ValueError where the URL is none."""
        self._home = home
        self._place = place
        self._login = parse_login(url) if url is not None else None
        self._programs = Programs(search_path)
        self._bwrap = bwrap
        self._containers = containers
        self._launcher = Launcher()
        self._users = client_users(home, self.name)
        self._clients = self._clients_in(Isolation(None, False, None))
        # Where dynos are processes their engine sees to it for clients, too.
        self._firewall = UserFirewall(home, (self._users,) if containers else (), api)

    async def __aenter__(self) -> "SharedAddons":
        isolation = await asyncio.to_thread(examine, self._programs.search_path, bwrap=self._bwrap)
        self._clients = self._clients_in(isolation)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._launcher.end()
        await self._firewall.open()

    def _clients_in(self, isolation: Isolation) -> Clients:
        runner = Runner(isolation, self._home, self._place)
        return Clients(runner, self._launcher, self._place / "tmp", self._users)

    async def problem(self, kind: Kind) -> str | None:
        """Asks the server whether we may do there what we have to."""
        if kind is not Kind.POSTGRESQL:
            return "The provider shared has PostgreSQL only; set the provider of this service to container or embedded."
        if self._login is None:
            return "No shared PostgreSQL server is set; write its URL to addons.shared.postgresql in paasd.yaml."
        if self._programs.find(kind, "psql") is None:
            return "There is no psql on this machine; install it: apt-get install postgresql-client."
        if self._containers and self._login.local:
            return (
                f"Dynos in containers can't reach a server at {self._login.host}; write an address of this machine "
                "that they can reach to addons.shared.postgresql in paasd.yaml."
            )
        try:
            version, may = (await self._ask(postgres_words.ALONE + CHECK)).split("|")
        except PaasError as error:
            return error.message
        if int(version) < LEAST_VERSION:
            return "The shared PostgreSQL server is older than 13; upgrade it."
        if may != "t":
            return f"{self._login.user} may not make roles and databases; say ALTER ROLE … CREATEROLE CREATEDB there."
        return None

    async def provision(self, order: Order) -> None:
        """Its role and its database. Where it fails, nothing is left that was not there before."""
        if (why := await self.problem(order.kind)) is not None:
            raise ProviderFailed(why) if order.kind is not Kind.POSTGRESQL or self._login is None else Unavailable(why)
        before = await self._is_there(order)
        try:
            await self._settle(order)
        except BaseException:
            if not before:
                await asyncio.shield(self.purge(order))
            raise

    async def access(self, order: Order, app_id: str) -> Access:
        """The server's own host, its role's name."""
        login = await self._need(order)
        if app_id not in order.apps:
            raise NotFound("The add-on is not attached to this app; attach it with `heroku addons:attach`.")
        user, database = role_of(order.addon_id), database_of(order.addon_id)
        host = f"[{login.host}]" if ":" in login.host else login.host
        mode = f"?sslmode={login.sslmode}" if login.sslmode else ""
        url = f"postgres://{user}:{order.secret}@{host}:{login.port}/{database}{mode}"
        return Access(login.host, login.port, user, database, url)

    async def link(self, order: Order, app_id: str) -> None:  # noqa: ARG002
        """What lets an app in is the password."""
        await self._need(order)

    async def unlink(self, order: Order, app_id: str) -> None:  # noqa: ARG002
        """All connections end; who has read the password still knows it, until it is rotated."""
        await self.hang_up(order)

    async def resize(self, order: Order) -> None:
        """The plan's connections are its role's bound; memory and disk are the server's."""
        used, bound = (await self.condition(order)).used, order.plan.disk
        if bound is not None and used is not None and used > bound:
            raise InvalidParams(
                f"{order.name} has {used} bytes of data and {order.plan.name} is for {bound}; remove some of it, or "
                "choose a larger plan."
            )
        await self._settle(order)

    async def rotate(self, order: Order) -> None:
        """Then ends the connections that were made with the one before."""
        await self._need(order)
        await self._ask(postgres_words.rotate_sql(order), order)

    async def hang_up(self, order: Order) -> None:
        """End all connections of its role."""
        await self._ask(postgres_words.hang_up_sql(order), order)

    async def reset(self, order: Order) -> None:
        """Another database of the same name."""
        await self._need(order)
        await self._ask(postgres_words.reset_sql(order) + postgres_words.mark_sql(order, self._mark(order)), order)

    async def condition(self, order: Order) -> Condition:
        """Asks the server; a role that may not log in is one that was set aside."""
        try:
            await self._need(order)
            if (await self._ask(postgres_words.may_enter_sql(order), order)) != "t":
                return Condition(up=False, detail=f"{order.name} is set aside.")
            return postgres_words.condition_of(await self._ask(postgres_words.facts_sql(order), order), order)
        except Unavailable as error:
            return Condition(up=False, detail=error.message)

    async def mend(self, orders: Sequence[Order]) -> None:
        """Its roles may log in. Whoever runs the server starts it again. Raises the first error."""
        await mend_each(orders, self._mend)

    async def tool(
        self,
        order: Order,
        argv: Sequence[str],
        env: Mapping[str, str] = {},
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
    ) -> Shell:
        """This machine's, as a user of its own, in a sandbox where there is one."""
        await self._firewall.close()
        program = check_tool(order, argv, TOOLS[Kind.POSTGRESQL])
        given = self._environment(await self._need(order))
        given |= {
            "PGUSER": role_of(order.addon_id),
            "PGDATABASE": database_of(order.addon_id),
            "PGPASSWORD": order.secret,
        }
        words = [self._programs.need(Kind.POSTGRESQL, program), *argv[1:]]
        return await self._clients.talk(words, {**given, **env}, size=size, errors=errors)

    async def set_aside(self, order: Order) -> None:
        """Nobody logs in as its role; the database stays."""
        await self._ask(postgres_words.set_aside_sql(order), order)

    async def bring_back(self, order: Order) -> None:
        """Its role may log in again."""
        if not await self._is_there(order):
            gone = f"The data of {order.name} is gone; restore a backup into a new add-on."
            raise NotFound(gone, resource="add_on")
        await self._settle(order)

    async def purge(self, order: Order) -> None:
        """Database and role. What we ask there for this add-on at this moment ends first: a database in the making."""
        await self._ask(postgres_words.purge_sql(order, self._application(order)), order)

    async def kept(self) -> Sequence[str]:
        """By the comments on databases and roles."""
        found = (await self._ask(postgres_words.kept_sql(f"paasd {self._home} "))).split()
        return sorted(set(found))

    # --- the server -------------------------------------------------------------------------------------------------

    def _mark(self, order: Order) -> str:
        return f"paasd {self._home} {order.addon_id}"

    def _application(self, order: Order | None) -> str:
        return "paasd" if order is None else f"paasd {order.addon_id}"

    def _environment(self, login: Login) -> dict[str, str]:
        given = {"PGHOST": login.host, "PGPORT": str(login.port), "PGCONNECT_TIMEOUT": CONNECT_SECONDS}
        given |= {"PSQL_HISTORY": "/dev/null", "PATH": BASE_PATH, "LANG": "C.UTF-8", "HOME": "/"}
        return given | ({"PGSSLMODE": login.sslmode} if login.sslmode else {})

    async def _is_there(self, order: Order) -> bool:
        return await self._ask(postgres_words.is_there_sql(order), order) == "t"

    async def _need(self, order: Order) -> Login:
        if not await self._is_there(order):
            raise NotFound(f"{order.name} is not on the shared server; its data is gone.", resource="add_on")
        assert self._login is not None
        return self._login

    async def _mend(self, order: Order) -> None:
        await self._need(order)
        if (await self._ask(postgres_words.may_enter_sql(order), order)) != "t":
            await self._settle(order)

    async def _settle(self, order: Order) -> None:
        words = postgres_words.shared_settle_sql(order) + postgres_words.mark_sql(order, self._mark(order))
        await self._ask(words, order)

    async def _ask(self, sql: str, order: Order | None = None) -> str:
        """As the one that the URL names; what is said goes by stdin, the password in the environment."""
        login = self._login
        if login is None:
            raise ProviderFailed("No shared PostgreSQL server is set; write its URL to addons.shared.postgresql.")
        words = [self._programs.need(Kind.POSTGRESQL, "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1"]
        given = {**self._environment(login), "PGUSER": login.user, "PGDATABASE": login.database}
        given |= {"PGPASSWORD": login.password, "PGAPPNAME": self._application(order)}
        try:
            async with asyncio.timeout(SECONDS):
                return (await self._clients.run(words, given, given=sql)).strip()
        except TimeoutError as error:
            raise Unavailable(f"The shared PostgreSQL server has not answered within {SECONDS:.0f} s.") from error
        except ProviderFailed as error:
            if any(each in error.message for each in AWAY):
                raise Unavailable(f"The shared PostgreSQL server does not answer: {error.message}") from error
            raise
