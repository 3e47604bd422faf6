"""Port Store, the part of add-ons."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from paasd.domain.addon import Addon, AddonState, AttachedNow, Attachment


class AddonStore(Protocol):
    """Add-ons and what they are attached to. Living ones have names of their own; an app's attachments too."""

    async def insert_addon(self, addon: Addon, attachment: Attachment) -> Addon:
        """Both in one transaction; as it was recorded, with a host name that nobody has. NotFound without the app;
        InvalidParams when a name is taken."""

    async def addon(self, name_or_id: str) -> Addon:
        """A living one by its name, any by its id. NotFound."""

    async def addons(self, app_id: str | None = None) -> Sequence[Addon]:
        """Those that an app owns, or all; ended ones too, oldest first."""

    async def save_addon(self, addon: Addon) -> None:
        """Its name, app, plan, secrets, values and `attached_as`; its state moves by `move_addon`. Absent: fine.
        InvalidParams when the name is taken."""

    async def move_addon(self, addon_id: str, old: AddonState, new: AddonState, failure: str | None = None) -> bool:
        """Compare-and-set; False when it was not `old`. In the same transaction its attachments end when it is being
        taken away, and go when it failed or is gone. InvalidParams when it comes back and its name is taken."""

    async def forget_addon(self, addon_id: str) -> None:
        """One that has ended, for good. Absent, or alive: nothing happens."""

    async def insert_attachment(self, attachment: Attachment, *, replacing: str | None = None) -> None:
        """In one transaction with the end of the one that it replaces, named by its id. NotFound without the app;
        InvalidParams when the app has one of that name."""

    async def attachments(self, *, app_id: str | None = None, addon_id: str | None = None) -> Sequence[Attachment]:
        """To an app, of an add-on, or all; ended ones too, oldest first."""

    async def set_attachment_values(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """The config vars of each, by its id, in one transaction. Absent: nothing happens."""

    async def end_attachment(self, attachment_id: str) -> None:
        """Ended or absent: fine."""

    async def delete_attachment(self, attachment_id: str) -> None:
        """Absent: fine."""

    async def attached_now(self, app_id: str) -> AttachedNow:
        """What a release of the app gets that is recorded now, by the attachments' names."""
