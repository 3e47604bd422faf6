"""One-off dynos: a command in a dyno of its own, talked to or on its own, and commands inside a running dyno.

A deploy never touches them; each ends with its command, with whoever talks to it, or when its longest time is over.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar

import structlog

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, DynoSpec, DynoState, Exit, check_size
from paasd.domain.errors import InvalidParams, NotFound, PaasError
from paasd.domain.release import Release
from paasd.ports import Engine, Shell, Size, Store
from paasd.services.background import Background, attempt
from paasd.services.boot import Boot
from paasd.services.endings import note_exit, stop_dyno
from paasd.services.logs import AppLogs

log = structlog.get_logger(__name__)

SECRET_BYTES = 16  # 32 hexadecimal digits: the length that a rendezvous reads
COMMAND_CHARACTERS = 32_768
OFFERS_MAX, OFFERS_OF_ACCOUNT = 1000, 100  # that wait for their client
ASKS_STATUS = ' ; echo "\uffff heroku-command-exit-status: $?"'  # what the CLI puts behind a command for -x


@dataclass(frozen=True, slots=True)
class OneOffRules:
    """Seconds: until somebody must have come to talk to a dyno, of silence, and of life at most."""

    attach: float = 60.0
    idle: float = 3600.0
    longest: float = 24 * 3600.0
    grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A command that starts once somebody comes with its secret: in a dyno of its own, or `inside` one that runs.

    `size` is the terminal's, None for pipes; `tells_status`: whether the client wants to be told how it ended.
    """

    secret: str = field(repr=False)
    account_id: str
    dyno: Dyno
    spec: DynoSpec = field(repr=False)
    size: Size | None
    inside: bool = False
    tells_status: bool = False
    made: float = field(default_factory=monotonic)

    @property
    def name(self) -> str:
        """The dyno's."""
        return self.dyno.name


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A program that is no dyno (a database's psql): `opens` starts it, on a terminal or on pipes. It tells how it
    ended."""

    secret: str = field(repr=False)
    account_id: str
    name: str
    opens: Callable[[Size | None], Awaitable[Shell]] = field(repr=False)
    size: Size | None
    tells_status: bool = True
    made: float = field(default_factory=monotonic)


AnyOffer = TypeVar("AnyOffer", Offer, ToolOffer)


class OneOffs:
    """Use cases on one-off dynos. Offers live in memory: a daemon that restarts forgets those nobody came for."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        boot: Boot,
        logs: AppLogs,
        background: Background,
        rules: OneOffRules | None = None,
    ) -> None:
        self._store = store
        self._engine = engine
        self._boot = boot
        self._logs = logs
        self._background = background
        self.rules = rules or OneOffRules()
        self._offers: dict[str, Offer | ToolOffer] = {}
        self._ends: dict[str, float] = {}

    async def start(
        self, actor: Actor, app: App, command: str, env: Mapping[str, str], dyno_size: str | None = None
    ) -> Dyno:
        """A command on its own; its lines go to the app's log. Raises InvalidParams, DynoUnhealthy."""
        spec = self._spec(app, await self._release(app), command, env, dyno_size)
        self._note_start(app, spec.name, command, actor)
        dyno = await self._engine.start(spec)
        self._logs.note(app.id, spec.name, "State changed from starting to up")
        self._logs.follow(dyno)
        self._background.spawn(f"watch {dyno.id}", self._watch(dyno))
        return dyno

    async def offer(
        self,
        actor: Actor,
        app: App,
        command: str,
        env: Mapping[str, str],
        size: Size | None,
        dyno_size: str | None = None,
    ) -> Offer:
        """A command that waits for somebody to talk to it. Raises InvalidParams."""
        command, tells = plain_command(command)
        spec = self._spec(app, await self._release(app), command, env, dyno_size)
        self._note_start(app, spec.name, command, actor)
        secret = secrets.token_hex(SECRET_BYTES)
        return self._keep(Offer(secret, actor.account_id, _waiting(spec), spec, size, tells_status=tells))

    async def offer_inside(
        self, actor: Actor, app: App, dyno: Dyno, command: str, env: Mapping[str, str], size: Size | None
    ) -> Offer:
        """A command inside a running dyno, that waits for somebody to talk to it. Raises InvalidParams, NotFound."""
        if not dyno.running:
            raise NotFound(f"{dyno.name} does not run; see `heroku ps`.", resource="dyno", app=app.name)
        command, tells = plain_command(command)
        spec = replace(self._spec(app, await self._release(app), command, env), env=dict(env))
        self._note_start(app, dyno.name, command, actor)
        secret = secrets.token_hex(SECRET_BYTES)
        return self._keep(Offer(secret, actor.account_id, dyno, spec, size, inside=True, tells_status=tells))

    def offer_tool(
        self, actor: Actor, name: str, opens: Callable[[Size | None], Awaitable[Shell]], size: Size | None
    ) -> ToolOffer:
        """A program that waits for somebody to talk to it. Raises InvalidParams."""
        return self._keep(ToolOffer(secrets.token_hex(SECRET_BYTES), actor.account_id, name, opens, size))

    def take(self, secret: str) -> Offer | ToolOffer | None:
        """The offer of this secret; it is taken once."""
        offer = self._offers.pop(secret, None)
        return None if offer is None or monotonic() - offer.made > self.rules.attach else offer

    def waiting(self, app_id: str) -> Sequence[Dyno]:
        """Dynos that nobody has come for yet."""
        self._forget_old()
        own = [each for each in self._offers.values() if isinstance(each, Offer) and not each.inside]
        return [offer.dyno for offer in own if offer.dyno.app_id == app_id]

    async def open(self, offer: Offer | ToolOffer) -> Shell:
        """Start what was offered. Raises DynoUnhealthy, NotFound, Unavailable."""
        if isinstance(offer, ToolOffer):
            return await offer.opens(offer.size)
        command = offer.spec.command or ""
        if offer.inside:
            return await self._engine.exec(offer.dyno.id, command, offer.spec.env, size=offer.size)
        shell = await self._engine.converse(offer.spec, size=offer.size)
        self._logs.note(offer.dyno.app_id, offer.dyno.name, "State changed from starting to up")
        return shell

    def note_end(self, offer: Offer | ToolOffer, how: Exit | None) -> None:
        """What the log says of a conversation's end; None: it was broken off."""
        if isinstance(offer, Offer) and not offer.inside:
            if how is not None:
                note_exit(self._logs, offer.dyno.app_id, offer.dyno.name, how)
            else:
                text = "Process was ended: nobody talks to it any more"
                self._logs.note(offer.dyno.app_id, offer.dyno.name, text)
            self._logs.note(offer.dyno.app_id, offer.dyno.name, "State changed from up to complete")

    async def stop(self, dyno: Dyno) -> None:
        """SIGTERM, then SIGKILL. May be repeated."""
        own = [each for each in self._offers.values() if isinstance(each, Offer) and not each.inside]
        for secret in [each.secret for each in own if each.dyno.id == dyno.id]:
            del self._offers[secret]
        await stop_dyno(self._engine, self._logs, dyno, self.rules.grace)

    async def sweep(self) -> None:
        """What a daemon before this one left: ended one-off dynos go, those past their longest time are stopped."""
        self._forget_old()
        dynos = [dyno for dyno in await self._engine.dynos() if dyno.kind is DynoKind.ONE_OFF]
        self._ends = {dyno.id: self._end_of(dyno) for dyno in dynos}
        for dyno in dynos:
            if not dyno.running or self._ends[dyno.id] < monotonic():
                await attempt(f"sweep {dyno.id}", self._engine.stop(dyno.id, grace=self.rules.grace))

    def _end_of(self, dyno: Dyno) -> float:
        """When (monotonic) its longest time is over: asked of the wall clock once, which may be set meanwhile."""
        age = (datetime.now(UTC) - dyno.created_at).total_seconds()
        return self._ends.get(dyno.id, monotonic() + self.rules.longest - max(age, 0.0))

    async def _watch(self, dyno: Dyno) -> None:
        """Until it ends, or its longest time is over; then it goes."""
        self._ends[dyno.id] = monotonic() + self.rules.longest
        try:
            async with asyncio.timeout(self.rules.longest):
                how = await self._engine.wait(dyno.id)
            note_exit(self._logs, dyno.app_id, dyno.name, how)
            self._logs.note(dyno.app_id, dyno.name, "State changed from up to complete")
            await self._logs.drained(dyno)  # it takes its log along
        except TimeoutError:
            self._logs.note(dyno.app_id, dyno.name, f"Stopping: it ran for {self.rules.longest:g} seconds")
        except NotFound:
            return  # somebody stopped it
        except PaasError as error:
            log.info("one-off dyno left to the next round", dyno=dyno.id, reason=error.message)
            return
        await attempt(f"remove {dyno.id}", self._engine.stop(dyno.id, grace=self.rules.grace))

    async def _release(self, app: App) -> Release:
        release = await self._store.current_release(app.id)
        if release is None or release.artifact is None:
            raise InvalidParams(f"{app.name} has no code yet; push it with `git push heroku main`.", resource="dyno")
        return release

    def _spec(
        self, app: App, release: Release, command: str, env: Mapping[str, str], size: str | None = None
    ) -> DynoSpec:
        if not command.strip() or len(command) > COMMAND_CHARACTERS or "\0" in command:
            raise InvalidParams(f"A command has 1 to {COMMAND_CHARACTERS} characters, none of them NUL; send another.")
        for name, value in env.items():
            if not name or "=" in name or "\0" in name + value:
                raise InvalidParams("The name of an environment variable can't be empty or hold = or NUL; correct it.")
        first, _, rest = command.partition(" ")
        if (known := release.processes.commands.get(first)) is not None:  # `heroku run worker`
            command = f"{known} {rest}".rstrip()
        name = f"run.{secrets.randbelow(9000) + 1000}"
        known_sizes = dict.fromkeys((DEFAULT_SIZE, *self._boot.rules.sizes))
        size = DEFAULT_SIZE if size is None else check_size(size, known_sizes)
        spec = self._boot.spec(app, release, name, DynoKind.ONE_OFF, command, size)
        return replace(spec, env={**spec.env, **env})

    def _note_start(self, app: App, name: str, command: str, actor: Actor) -> None:
        self._logs.note(app.id, name, f"Starting process with command `{command}` by user {actor.shown}")

    def _keep(self, offer: AnyOffer) -> AnyOffer:
        self._forget_old()
        own = sum(each.account_id == offer.account_id for each in self._offers.values())
        if own >= OFFERS_OF_ACCOUNT or len(self._offers) >= OFFERS_MAX:
            waiting = f"{own} of yours" if own >= OFFERS_OF_ACCOUNT else f"{OFFERS_MAX}"
            raise InvalidParams(f"{waiting} one-off dynos wait for their client already; try again in a minute.")
        self._offers[offer.secret] = offer
        return offer

    def _forget_old(self) -> None:
        for offer in list(self._offers.values()):
            if monotonic() - offer.made > self.rules.attach:
                del self._offers[offer.secret]
                if isinstance(offer, Offer):
                    self._logs.note(
                        offer.dyno.app_id, offer.dyno.name, "Error R13 (Attach error) -> nobody came to attach"
                    )


def plain_command(command: str) -> tuple[str, bool]:
    """The command without the words by which a client asks for its exit status, and whether it did.

    They would be an `echo` after it, which a command that ends the shell never reaches.
    """
    plain = command.removesuffix(ASKS_STATUS)
    return plain, plain != command


def _waiting(spec: DynoSpec) -> Dyno:
    return Dyno(
        id=spec.id,
        name=spec.name,
        kind=spec.kind,
        app_id=spec.app_id,
        release_id=spec.release_id,
        release_version=spec.release_version,
        state=DynoState.STARTING,
        address=None,
        port=None,
        command=spec.command,
        created_at=datetime.now(UTC),
        size=spec.size,
    )
