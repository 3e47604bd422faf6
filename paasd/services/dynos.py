"""The dynos of an app as people see them: listing, scaling, restarting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, Formation, Limits, check_size, sizes_of
from paasd.domain.errors import InvalidParams, NotFound
from paasd.ports import Engine, Store
from paasd.services.background import Background
from paasd.services.logs import AppLogs
from paasd.services.releases import Releases
from paasd.services.routing import Routing

QUANTITY_MAX = 100
RELEASE = "release"


class Mending(Protocol):
    """What brings running dynos to what is wanted: recovery."""

    async def converge(self, app: App) -> None:
        """Start what is missing, stop what is too much."""
        ...

    async def resize(self, app: App) -> None:
        """Fresh dynos in the place of those that run in another size than is wanted."""
        ...

    async def replace(self, app: App, dynos: Sequence[Dyno]) -> None:
        """Fresh dynos in the place of these, without losing a request."""
        ...


@dataclass(frozen=True, slots=True)
class Dynos:
    """Use cases on dynos."""

    store: Store
    engine: Engine
    routing: Routing
    releases: Releases
    logs: AppLogs
    background: Background
    mending: Mending
    sizes: Mapping[str, Limits] = field(default_factory=lambda: {DEFAULT_SIZE: Limits()})

    async def of(self, app: App) -> Sequence[Dyno]:
        """Those of the release that is served, and release-phase dynos under way; not those being retired."""
        served = await self.store.current_release(app.id)
        return [
            dyno
            for dyno in await self.engine.dynos(app.id)
            if dyno.id not in self.routing.leaving
            and (dyno.kind is not DynoKind.FORMATION or (served is not None and dyno.release_id == served.id))
        ]

    async def formation(self, app: App) -> Sequence[tuple[Formation, str | None]]:
        """Each process type of the served release with its wanted quantity and its command."""
        served = await self.store.current_release(app.id)
        if served is None:
            return []
        quantities = await self.releases.formation(app, served)
        sizes = {**served.processes.sizes, **sizes_of(await self.store.formation(app.id))}
        entries = [
            (Formation(kind, quantities[kind], sizes.get(kind, DEFAULT_SIZE)), command)
            for kind, command in served.processes.commands.items()
        ]
        if (command := served.processes.release) is not None:
            entries.append((Formation(RELEASE, 0, sizes.get(RELEASE, DEFAULT_SIZE)), command))
        return entries

    async def scale(
        self, actor: Actor, app: App, changes: Mapping[str, int], sizes: Mapping[str, str] | None = None
    ) -> Sequence[tuple[Formation, str | None]]:
        """Set quantities, and sizes by their names; returns once they are kept and dynos were started or told.

        Dynos of another size than they were are replaced without losing a request. Raises NotFound, InvalidParams.
        """
        known = [entry for entry, _ in await self.formation(app)]
        asked = {kind: check_size(size, self.sizes) for kind, size in (sizes or {}).items()}
        for kind in (*changes, *asked):
            if kind not in {entry.type for entry in known}:
                raise NotFound(
                    f"Couldn't find that process type ({kind}); {app.name} has "
                    f"{', '.join(entry.type for entry in known) or 'none: deploy first'}.",
                    resource="formation",
                )
        for kind, quantity in changes.items():
            if not 0 <= quantity <= QUANTITY_MAX:
                raise InvalidParams(f"Quantity of {kind} must be from 0 to {QUANTITY_MAX}.")
            if kind == RELEASE and quantity:
                raise InvalidParams("The release command runs once for each release; its quantity stays 0.")
        wanted = [
            Formation(entry.type, changes.get(entry.type, entry.quantity), asked.get(entry.type, entry.size))
            for entry in known
        ]
        await self.engine.dynos(app.id)  # one that is away refuses the whole call here, and nothing of it is kept
        await self.store.set_formation(app.id, wanted)
        text = ", ".join(f"{entry.type}@{entry.quantity}:{entry.size}" for entry in wanted)
        self.logs.note(app.id, "api", f"Scaled to {text} by user {actor.shown}", source="app")
        await self.mending.converge(app)
        if asked:
            self.background.spawn(f"resize dynos of {app.name}", self.mending.resize(app))
        return await self.formation(app)

    async def restart(self, app: App, name_or_type: str | None) -> None:
        """Have dynos (all, of a type, or one) replaced by fresh ones. NotFound for a type that the app lacks, and for
        a dyno that there is not to be: one that is being replaced just now will be a fresh one."""
        chosen = [
            dyno
            for dyno in await self.of(app)
            if dyno.kind is DynoKind.FORMATION and name_or_type in (None, dyno.name, dyno.type)
        ]
        if not chosen and name_or_type is not None and name_or_type not in await self._to_be(app):
            raise NotFound(f"Couldn't find that dyno ({name_or_type}); see `heroku ps`.", resource="dyno")
        for dyno in chosen:
            self.logs.note(app.id, dyno.name, "Restarting")
        self.background.spawn(f"restart dynos of {app.name}", self.mending.replace(app, chosen))

    async def _to_be(self, app: App) -> set[str]:
        """The process types, and the names of the dynos that are to run."""
        entries = [entry for entry, _ in await self.formation(app) if entry.type != RELEASE]
        names = {f"{entry.type}.{number}" for entry in entries for number in range(1, entry.quantity + 1)}
        return names | {entry.type for entry in entries}
