"""An add-on of this machine as a folder: what it is, its data, and how its server runs."""

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
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
        """The server's, its own; None: the daemon's. Those made before each had one have that of the OS's packages."""
        if os.geteuid() != 0:
            return None
        own = (self.made() or {}).get("user")
        return (int(own), int(own)) if own is not None else user_of(self.kind)

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

    def make(self, order: Order, first_user: int) -> None:
        """Everything but its data. Made before: fine. `first_user` is the first of the numbers that it may have."""
        for path, mode in ((self.path, PASSABLE), (self.data, 0o700)):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        if os.geteuid() == 0 and self.made() is None:
            self.note(user=self._new_user(first_user))
        self.own()
        others = (read_json(path / "addon.json") for path in self.path.parent.iterdir())
        taken = {int(made["port"]) for made in others if made is not None and "port" in made}
        port = (self.made() or {}).get("port") or free_port(taken)
        self.note(kind=self.kind.value, port=port, apps=sorted(order.apps))
        if self.kind is Kind.POSTGRESQL and not (self.data / "ours").exists():
            self.put({"ours": secrets.token_urlsafe(32).encode()})

    def _new_user(self, first: int) -> int | None:
        """One that no other has or had; None where this machine does not let us give files to it."""
        counter = self.path.parent.parent / "addon-users.json"
        number = int((read_json(counter) or {"next": first})["next"])
        try:
            os.chown(self.data, number, number)
        except OSError:  # root of a user namespace that has few numbers
            return None
        write_json(counter, {"next": number + 1})
        return number

    def own(self, user: tuple[int, int] | None = None) -> None:
        """Its data's folder and the superuser's password become its server's, or for a while that user's."""
        owner = user or self.user
        if owner is not None:
            for path in (self.data, self.data / "ours"):
                with suppress(FileNotFoundError):
                    os.chown(path, *owner, follow_symlinks=False)  # what lies there may be the server's work

    def own_all(self, top: Path) -> None:
        """All below becomes its server's. Walks folders."""
        if self.user is not None:
            for directory, _, files in os.walk(top):
                for path in (Path(directory), *(Path(directory) / name for name in files)):
                    os.chown(path, *self.user, follow_symlinks=False)

    def put(self, content: Mapping[str, bytes]) -> None:
        """Files that only the server's user may read."""
        for name, text in content.items():
            aside = self.data / f".{name}.new"
            aside.unlink(missing_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                if self.user is not None:
                    os.fchown(descriptor, *self.user)
                file.write(text)
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
