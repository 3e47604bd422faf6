"""An owner of some of the apps, who does one thing after the other to them, drawn with the run's seed."""

import random
import threading
import time
import urllib.error
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import Any

from tests.acceptance.shop import Shop
from tests.faults.soak.judge import Life
from tests.faults.soak.stage import Stage, new_shop

PATIENCE_SECONDS = 120.0
REST_SECONDS = (0.2, 2.0)
LOST = (OSError, HTTPException, ValueError)  # no answer, or half of one


class Owner:
    """Its apps have fixed numbers; an app that is destroyed comes back under a name of its own."""

    def __init__(self, stage: Stage, number: int, apps: list[tuple[int, int]], seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(f"{seed} owner {number}")
        self.slots = apps  # (number, dynos)
        self.shops: dict[int, Shop] = {}
        self.generation = 0
        self.deeds: dict[str, tuple[int, Callable[[int], None]]] = {
            "push": (3, self.push),
            "config": (4, self.config),
            "rollback": (2, self.roll_back),
            "scale": (3, self.scale),
            "restart": (3, self.restart),
            "maintenance": (2, self.maintenance),
            "destroy/create": (1, self.replace),
        }

    def set_up(self) -> None:
        """All its apps live, before anything is killed."""
        for slot, _ in self.slots:
            self._create(slot)

    def start(self) -> threading.Thread:
        """At work until the stage's `stop`."""
        thread = threading.Thread(target=self._live)
        thread.start()
        return thread

    def _live(self) -> None:
        names = list(self.deeds)
        weights = [weight for weight, _ in self.deeds.values()]
        while not self.stage.stop.wait(self.chance.uniform(*REST_SECONDS)):
            deed = self.chance.choices(names, weights)[0]
            slot, _ = self.chance.choice(self.slots)
            try:
                self.deeds[deed][1](slot)
            except Exception as error:  # what the soak itself can't do ends it, with its reason
                self.stage.complain(f"{deed} of {self.shops[slot].name}: {type(error).__name__}: {error}")
            self.stage.count(deed)

    def ask(self, slot: int, method: str, path: str = "", body: object = None) -> Any:
        """The answer; None when none came and the daemon was away then: only this excuses it."""
        shop, began = self.shops[slot], time.monotonic()
        what = f"{method} /apps/{shop.name}{path}"
        try:
            status, answer = shop.call(method, path, body)
        except (*LOST, urllib.error.URLError) as error:
            self._excused(began, f"{what} was not answered ({error}).")
            return None
        if 200 <= status < 300:
            return answer
        if status == 503:
            self._excused(began, f"{what}: 503 {answer}")
        else:
            self.stage.complain(f"{what}: {status} {answer}")
        return None

    def _excused(self, began: float, sentence: str) -> None:
        if not self.stage.daemon_away(began, time.monotonic()):
            self.stage.complain(sentence)
        with self.stage.lock:
            self.stage.unanswered += 1

    def sure(self, slot: int, method: str, path: str = "", body: object = None) -> Any:
        """Asked again until it is answered."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := self.ask(slot, method, path, body)) is None:
            assert time.monotonic() < deadline, f"{method} {path} was never answered"
            time.sleep(0.2)
        return answer

    def push(self, slot: int) -> None:
        """A new commit. It may only fail because the daemon or a dyno of the app was killed meanwhile."""
        shop, began = self.shops[slot], time.monotonic()
        text = (shop.shell.cwd / "server.py").read_text().rsplit("# change ", 1)[0].rstrip("\n")
        code, said = shop.push({"server.py": f"{text}\n# change {time.monotonic_ns()}\n"})
        ended = time.monotonic()
        if code != 0 and not self.stage.daemon_away(began, ended) and not self.stage.dyno_killed(shop.name, began):
            self.stage.complain(f"a push to {shop.name} failed:\n{said}")

    def config(self, slot: int) -> None:
        self.ask(slot, "PATCH", "/config-vars", {"GREETING": f"hello {self.chance.randint(0, 10**9)}"})

    def roll_back(self, slot: int) -> None:
        """To some earlier release that has code."""
        found = self.ask(slot, "GET", "/releases") or []
        earlier = [
            entry for entry in found if entry["status"] == "succeeded" and entry["slug"] and not entry["current"]
        ]
        if earlier:
            self.ask(slot, "POST", "/releases", {"release": self.chance.choice(earlier)["id"]})

    def scale(self, slot: int) -> None:
        """Those with two dynos have two or three; the others keep their one."""
        dynos = dict(self.slots)[slot]
        if dynos >= 2:
            quantity = self.chance.choice([2, 3])
            self.ask(slot, "PATCH", "/formation", {"updates": [{"type": "web", "quantity": quantity}]})

    def restart(self, slot: int) -> None:
        self.ask(slot, "DELETE", "/dynos")

    def maintenance(self, slot: int) -> None:
        """On, and surely off again."""
        began = time.monotonic()
        self.ask(slot, "PATCH", "", {"maintenance": True})
        self.stage.stop.wait(self.chance.uniform(0.2, 1.5))
        self.sure(slot, "PATCH", "", {"maintenance": False})
        self.stage.lives[self.shops[slot].name].pages.append((began, time.monotonic()))

    def replace(self, slot: int) -> None:
        """Destroy the app and make another."""
        shop = self.shops[slot]
        self.stage.load.leave(shop.name)
        self.stage.lives[shop.name].gone = time.monotonic()
        self._destroy(slot)
        self._create(slot)

    def _destroy(self, slot: int) -> None:
        """Asked until it is gone: one that was carried out and not answered is a 404 the next time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            began = time.monotonic()
            try:
                status, answer = self.shops[slot].call("DELETE")
            except (*LOST, urllib.error.URLError) as error:
                self._excused(began, f"DELETE of {self.shops[slot].name} was not answered ({error}).")
                time.sleep(0.2)
                continue
            if status in (200, 202, 404):
                return
            if status != 503:
                self.stage.complain(f"DELETE of {self.shops[slot].name}: {status} {answer}")
            time.sleep(0.2)
        raise AssertionError("it could not be destroyed")

    def _create(self, slot: int) -> None:
        """A new app with its dynos up, and load on it from then on."""
        self.generation += 1
        dynos = dict(self.slots)[slot]
        shop = new_shop(self.stage, f"soak{slot:02}-{self.generation}")
        self.shops[slot] = shop
        self._insist(lambda: self.stage.daemon.call("POST", "/apps", {"name": shop.name})[0] in (201, 422), "created")
        remote = ("paas", "git:remote", "-a", shop.name)
        self._insist(lambda: shop.shell.attempt(*remote)[0] == 0, "found")
        said = [""]
        self._insist(lambda: self._pushed(shop, said), "pushed", said)
        if dynos >= 2:
            self.sure(slot, "PATCH", "/formation", {"updates": [{"type": "web", "quantity": dynos}]})
        self._insist(lambda: self._up(slot) >= dynos and shop.get()[0] == 200, "up")
        self.stage.lives[shop.name] = Life(shop.name, dynos, time.monotonic())
        self.stage.load.add(shop.name)

    def _pushed(self, shop: Shop, said: list[str]) -> bool:
        code, said[0] = shop.push({})
        return code == 0

    def _up(self, slot: int) -> int:
        return sum(entry["state"] == "up" for entry in self.ask(slot, "GET", "/dynos") or [])

    def _insist(self, done: Callable[[], bool], what: str, said: Sequence[str] = ()) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if done():
                    return
            except (*LOST, urllib.error.URLError):
                pass
            assert time.monotonic() < deadline, f"a new app was not {what}: {' '.join(said)}"
            time.sleep(0.1)
