"""Add-ons whose provider this daemon does not have, as that of a partner who was taken out of paasd.yaml: said once."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import structlog

from paasd.domain.addon import Addon, AddonState

log = structlog.get_logger(__name__)

ENDS_BY_ITSELF = (AddonState.PROVISIONING, AddonState.DEPROVISIONING)  # given up in time; as far as it goes, and said


@dataclass(slots=True)
class AbsentProviders:
    """`said` are the ids of those that were told of: a provider comes back with another daemon."""

    said: set[str] = field(default_factory=set)

    def leave_out(self, addons: Sequence[Addon], providers: Container[str]) -> list[Addon]:
        """Those for which something can be done; the others are in the log, once, by provider."""
        absent = [one for one in addons if one.provider not in providers and one.state not in ENDS_BY_ITSELF]
        new = [one for one in absent if one.id not in self.said]
        for provider in dict.fromkeys(one.provider for one in new):
            names = [one.name for one in new if one.provider == provider]
            log.warning(
                "add-ons left as they are",
                addons=names,
                reason=f"their provider {provider!r} is not set up any more; see addons.partners in paasd.yaml",
            )
        self.said |= {one.id for one in new}
        return [one for one in addons if one not in absent]
