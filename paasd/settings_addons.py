"""The settings of add-ons: a section of paasd.yaml."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Duration = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class PlanSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a plan; none: no bound. `default` makes it the one of those who name only the service."""

    memory_mb: Annotated[int, Meta(ge=6)] | None = None
    disk_mb: Count | None = None
    connections: Count | None = None
    default: bool = False


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the service is had from (none: as all are), and plans beside the built-in ones, or in their place."""

    provider: str | None = None
    plans: dict[Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,30}$")], PlanSettings] = {}


class SharedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Servers that somebody already runs: the URL of a PostgreSQL, with somebody who may make roles and databases."""

    postgresql: str | None = None

    def __repr__(self) -> str:
        """Without the password that is in the URL."""
        return f"SharedSettings(postgresql={'…' if self.postgresql else None})"


class PartnerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A third party's service: the file of its addon-manifest.json, from the home where it is no whole path; its plans'
    slugs, the default one first (none: as the manifest has them, else "test"), and what it says at /oauth/token (none:
    api.password of the manifest)."""

    manifest: str
    plans: tuple[str, ...] = ()
    client_secret: str | None = None

    def __repr__(self) -> str:
        """Without its secret."""
        return f"PartnerSettings(manifest={self.manifest!r}, plans={self.plans!r})"


class AddonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where add-ons are had from (auto: containers with Docker's engine, this machine's own servers without it), the
    seconds that provisioning may take, how many backups of each database that were asked for are kept, and for how many
    days those of a schedule, what is changed of the services by their names ("heroku-redis"), and the partners whose
    services there are too: the file of a manifest, or PartnerSettings."""

    backups: Count = 25
    backup_days: Count = 7
    provider: Literal["auto", "container", "shared", "embedded"] = "auto"
    timeout: Duration = 600.0
    services: dict[str, ServiceSettings] = {}
    shared: SharedSettings = SharedSettings()
    partners: tuple[str | PartnerSettings, ...] = ()
