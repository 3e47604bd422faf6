"""Kills, one at a time and drawn with the run's seed: the daemon, the router's parent, a worker of it, a dyno."""

import contextlib
import os
import random
import select
import signal
import threading
import time
import urllib.error
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from tests.daemon import Daemon, wait_until
from tests.faults.soak.judge import Kill, Victim
from tests.faults.soak.stage import Stage, dyno_processes

REST_SECONDS = (1.0, 5.0)
AWAY_SECONDS = (0.0, 3.0)
WHOLE_SECONDS = 30.0
DEAD_SECONDS = 10.0
SETTLED_SECONDS = 5.0  # a dyno that ran for so long is up and has others beside it


class Killer:
    """`everything`: the daemon and the router too; without it only dynos."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(f"{seed} killer")
        self.everything = True

    def start(self) -> threading.Thread:
        """At work until the stage's `stop`."""
        thread = threading.Thread(target=self._live)
        thread.start()
        return thread

    def _live(self) -> None:
        while not self.stage.stop.wait(self.chance.uniform(*REST_SECONDS)):
            victims = list(Victim) if self.everything else [Victim.DYNO]
            victim = self.chance.choice(victims)
            away = self.chance.uniform(*AWAY_SECONDS)
            try:
                self.kill(victim, away)
            except Exception as error:
                self.stage.complain(f"after the kill of a {victim.value}: {type(error).__name__}: {error}")

    def kill(self, victim: Victim, away: float) -> None:
        """And wait until what was killed is replaced: two at once may leave nobody to serve."""
        if victim is Victim.DAEMON:
            self._daemon(away)
        elif victim is Victim.TAKEOVER:
            self._away(victim, self.stage.daemon.take_over)
        elif victim is Victim.DYNO:
            if not self._dyno():
                return
        else:
            self._router(victim)
        self.stage.count(victim.value if victim is Victim.TAKEOVER else f"kill {victim.value}")

    def strike(self, victim: Victim, process: int, app: str = "") -> bool:
        """SIGKILL, and wait until it is dead: only then is every answer another's. False when it had ended before."""
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            return False
        dead = select.poll()
        dead.register(handle, select.POLLIN)
        begun = Kill(victim, time.monotonic(), app)  # as late as can be, and noted before anybody can suffer from it
        self.stage.killed(begun)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            assert dead.poll(DEAD_SECONDS * 1000), f"the {victim.value} {process} outlived SIGKILL"
        except ProcessLookupError:
            self.stage.known(begun)
            return False
        finally:
            os.close(handle)
        self.stage.known(begun, replace(begun, took=time.monotonic() - begun.at))
        return True

    def _daemon(self, away: float) -> None:
        def restart() -> None:
            self.stage.daemon.kill()
            time.sleep(away)
            self.stage.daemon.start()

        self._away(Victim.DAEMON, restart)

    def _away(self, victim: Victim, act: Callable[[], None]) -> None:
        """Noted before and after: who gets no answer meanwhile has to know why."""
        open_ended = Kill(victim, time.monotonic())
        self.stage.killed(open_ended)
        act()
        self.stage.known(open_ended, replace(open_ended, back=time.monotonic()))

    def _router(self, victim: Victim) -> None:
        parent, workers = self.whole()
        process = parent if victim is Victim.PARENT else self.chance.choice(workers)
        self.strike(victim, process)
        wait_until(lambda: self._replaced(process), WHOLE_SECONDS, f"the {victim.value} was not replaced")

    def _replaced(self, process: int) -> bool:
        try:
            parent, workers = self.whole()
        except (AssertionError, OSError, HTTPException, urllib.error.URLError):
            return False
        return process not in (parent, *workers)

    def whole(self) -> tuple[int, list[int]]:
        """(parent, workers) of the router that answers; AssertionError when one of them is missing."""
        assert self.stage.daemon.call("GET", "/paasd/router")[1]["status"] == "up"
        parent, workers = router_processes(self.stage.daemon)
        assert parent is not None, "the router has no parent"
        assert workers, "the router has no worker"
        return parent, workers

    def _dyno(self) -> bool:
        """One that ran for a while, of an app whose others did too: never the last of two. False when there is none."""
        apps = {app["id"]: app["name"] for app in self.stage.daemon.call("GET", "/apps")[1]}
        running: dict[str, list[int]] = {}
        for identity, process, age in dyno_processes(self.stage):
            if identity in apps and age > SETTLED_SECONDS:
                running.setdefault(apps[identity], []).append(process)
        lives = self.stage.lives
        fit = sorted(app for app, found in running.items() if app in lives and len(found) >= lives[app].dynos)
        if not fit:
            return False
        app = self.chance.choice(fit)
        return self.strike(Victim.DYNO, self.chance.choice(running[app]), app)


def router_processes(daemon: Daemon) -> tuple[int | None, list[int]]:
    """(parent, workers), by the folder in their command lines. A worker may have outlived the parent that made it."""
    directory = daemon.home.parent / f"{daemon.home.name}-router"
    lock, found = (directory / "router.lock").read_text().strip(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if str(directory).encode() in words and b"router" in words:
                    found.append(int(entry.name))
    parent = int(lock) if lock.isdigit() and int(lock) in found else None
    return parent, [process for process in found if process != parent]
