"""An add-on of this machine as a folder: what it is, its data, and how its server runs."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paasd.adapters.process_addon_server import free_port, user_of
from paasd.adapters.process_dynos import PASSABLE, read_json, write_json
from paasd.adapters.process_launch import Child
from paasd.domain.addon import Kind
from paasd.domain.errors import NotFound
from paasd.ports import Order

LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class AddonFolder:
    """One add-on's. Its data is the server's user's alone, where the daemon is root."""

    path: Path
    kind: Kind

    @property
    def data(self) -> Path:
        """The server's."""
        return self.path / "data"

    @property
    def whole(self) -> Path:
        """There once it has been provisioned."""
        return self.path / "whole"

    @property
    def user(self) -> tuple[int, int] | None:
        """The server's; None: the daemon's own."""
        return user_of(self.kind) if os.geteuid() == 0 else None

    def made(self) -> dict[str, Any] | None:
        """What addon.json says; None when there is no such add-on."""
        return read_json(self.path / "addon.json")

    def need(self) -> dict[str, Any]:
        """The same, or NotFound."""
        found = self.made()
        if found is None:
            raise NotFound("There is nothing of this add-on here; create it anew.", resource="add_on")
        return found

    def note(self, **changes: object) -> None:
        """Into addon.json."""
        write_json(self.path / "addon.json", {**(self.made() or {}), **changes})

    def make(self, order: Order) -> None:
        """Everything but its data. Made before: fine."""
        for path, mode in ((self.path, PASSABLE), (self.data, 0o700)):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        if self.user is not None:
            os.chown(self.data, *self.user)
        others = (read_json(path / "addon.json") for path in self.path.parent.iterdir())
        taken = {int(made["port"]) for made in others if made is not None}
        port = (self.made() or {}).get("port") or free_port(taken)
        self.note(kind=self.kind.value, port=port, apps=sorted(order.apps))
        if self.kind is Kind.POSTGRESQL and not (self.data / "ours").exists():
            self.put({"ours": secrets.token_urlsafe(32).encode()})

    def put(self, content: Mapping[str, bytes]) -> None:
        """Files that only the server's user may read."""
        for name, text in content.items():
            aside = self.data / f".{name}.new"
            aside.unlink(missing_ok=True)
            aside.touch(0o600)
            if self.user is not None:
                os.chown(aside, *self.user)
            aside.write_bytes(text)
            aside.replace(self.data / name)

    def ours(self) -> str:
        """The password of the server's superuser."""
        return (self.data / "ours").read_text()

    def child(self) -> Child | None:
        """Its server's supervisor, where it runs. Whoever asks lets it go."""
        ran = read_json(self.path / "run.json")
        if ran is None or (self.path / "exit.json").exists():
            return None
        return Child.find(int(ran["supervisor"]), int(ran["ticks"]))

    def runs(self) -> bool:
        """Whether its server does."""
        child = self.child()
        if child is not None:
            child.let_go()
        return child is not None

    def clear(self) -> None:
        """What the supervisor before has left, but for its log."""
        for name in ("run.json", "exit.json", "wake"):
            (self.path / name).unlink(missing_ok=True)

    def last_words(self) -> str:
        """Of its server."""
        try:
            lines = (self.path / "log").read_text(errors="replace").splitlines()
        except OSError:
            return "it said nothing"
        return " ".join(line.partition(" ")[2] for line in lines[-LAST_LINES:])[-300:]

    def remove(self) -> None:
        """All of it. Absent: fine."""
        shutil.rmtree(self.path, ignore_errors=True)
