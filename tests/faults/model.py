"""What the platform should be after each call, said as briefly as can be: apps, their releases, what runs for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

TYPES = {"web": 1, "worker": 0}  # quantity nobody asked for


@dataclass(frozen=True)
class Entry:
    """A release: how it ended, its config, and its process types, none where it has no code."""

    status: str
    config: Mapping[str, str]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class AppModel:
    """One app. Everything else follows from its ledger and the quantities asked for."""

    releases: tuple[Entry, ...] = (Entry("succeeded", {}),)
    asked: Mapping[str, int] = field(default_factory=dict)
    maintenance: bool = False

    @property
    def current(self) -> int:
        """Version of what is served."""
        return max(at for at, entry in enumerate(self.releases, 1) if entry.status == "succeeded")

    @property
    def serving(self) -> Entry:
        return self.releases[self.current - 1]

    @property
    def config(self) -> Mapping[str, str]:
        return next(entry.config for entry in reversed(self.releases) if entry.status != "failed")

    @property
    def formation(self) -> Mapping[str, int]:
        return {kind: self.asked.get(kind, TYPES[kind]) for kind in self.serving.types}

    @property
    def dynos(self) -> frozenset[tuple[str, int]]:
        """(name, version) of all that should run."""
        return frozenset(
            (f"{kind}.{number}", self.current)
            for kind, quantity in self.formation.items()
            for number in range(1, quantity + 1)
        )

    @property
    def answer(self) -> str:
        """What a request gets: a release, or a router's code."""
        if self.maintenance:
            return "H80"
        if not self.serving.types:
            return "H81"
        return f"v{self.current}" if self.formation.get("web", 0) else "H14"

    def released(self, status: str, config: Mapping[str, str], types: tuple[str, ...]) -> "AppModel":
        return replace(self, releases=(*self.releases, Entry(status, dict(config), types)))

    def configured(self, changes: Mapping[str, str | None], status: str = "succeeded") -> "AppModel":
        """The same when nothing changes."""
        config = {name: value for name, value in {**self.config, **changes}.items() if value is not None}
        if config == self.config:
            return self
        return self.released(status if self.serving.types else "succeeded", config, self.serving.types)

    def scaled(self, changes: Mapping[str, int]) -> "AppModel":
        return replace(self, asked={**self.formation, **changes})

    def eligible(self, version: int) -> bool:
        """For a rollback."""
        entry = self.releases[version - 1]
        return entry.status == "succeeded" and bool(entry.types)


Model = Mapping[str, AppModel]
