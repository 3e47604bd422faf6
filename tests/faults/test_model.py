"""C02: any order of calls and kills. After each the API, the engine's dynos and the router's answers equal a model.

A call during which the daemon dies may have been carried out, or not, or failed its release; one that was acknowledged
was carried out. Bites: with the settling left out of the boot a pending release stays; with `extra` never stopped a
killed rollout leaves dynos; with the answer to a config change given before it is recorded, it is lost.
"""

import asyncio
import io
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from paasd.adapters.migrate import migrate
from tests.faults.model import AppModel, Model
from tests.faults.mortal import MortalDaemon
from tests.gates import Gates
from tests.paasd.services.world import GatedStore, Outside, make_outside

WHICH = st.integers(0, 1)
FUSE = st.none() | st.integers(1, 80)
PROCFILES: Mapping[str, tuple[str, ...]] = {
    "web: serve": ("web",),
    "web: serve\nworker: work": ("web", "worker"),
    "web: serve\nrelease: migrate": ("web",),
    "web: crash": (),
    "web: serve\nrelease: fail": (),
}
LOST_MAX = 4  # dynos that end, in an example: the back-off is doubled each time

T = TypeVar("T")
Call = Callable[[MortalDaemon], Awaitable[tuple[int | None, Any]]]


class Platform(RuleBasedStateMachine):
    """One example: a platform from its first app on."""

    template: Path
    steps = 0  # of all examples
    patience = 10.0
    pause = 0.005
    stuck = 40.0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="paasd-"))
        self.model: Model = {}
        self.lost = 0
        self.outside: Outside
        self.daemon: MortalDaemon

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())
        self.create("alpha", None)
        self.deploy(0, "web: serve", None)

    async def _begin(self) -> None:
        shutil.copy(self.template, self.root / "store.db")
        store = GatedStore(self.root / "store.db", self.root / "key")
        store.gates = Gates()
        await store.__aenter__()
        self.outside = await make_outside(self.root, store)
        await self._boot()

    async def _boot(self) -> None:
        self.daemon = MortalDaemon(self.outside)
        await self.daemon.start()

    async def _finish(self) -> None:
        await self.daemon.kill()
        await self.outside.store.__aexit__()

    def teardown(self) -> None:
        try:
            if hasattr(self, "daemon"):
                self.run(self._finish())
            self.runner.close()
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def run(self, wanted: Coroutine[Any, Any, T]) -> T:
        """What it returns; AssertionError with what every task waits for when it does not end."""
        return self.runner.run(self._within(wanted))

    async def _within(self, wanted: Coroutine[Any, Any, T]) -> T:
        working = asyncio.ensure_future(wanted)
        await asyncio.wait([working], timeout=self.stuck)
        if working.done():
            return working.result()
        stacks = io.StringIO()
        for task in asyncio.all_tasks():
            task.print_stack(file=stacks)
        raise AssertionError(f"nothing for {self.stuck} s:\n{stacks.getvalue()}")

    # --- what is done -----------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(["alpha", "beta"]), fuse=FUSE)
    def create(self, name: str, fuse: int | None) -> None:
        made = self.model if name in self.model else {**self.model, name: AppModel()}
        status = 422 if name in self.model else 201
        self.do(lambda daemon: daemon.call("POST", "/apps", {"name": name}), fuse, status, made)

    @rule(which=WHICH, fuse=FUSE)
    def destroy(self, which: int, fuse: int | None) -> None:
        if (name := self.one(which)) is not None:
            left = {other: app for other, app in self.model.items() if other != name}
            self.do(lambda daemon: daemon.call("DELETE", f"/apps/{name}"), fuse, 200, left)

    @rule(
        which=WHICH,
        changes=st.dictionaries(st.sampled_from("AB"), st.none() | st.sampled_from("12"), min_size=1),
        fuse=FUSE,
    )
    def config(self, which: int, changes: dict[str, str | None], fuse: int | None) -> None:
        if (name := self.one(which)) is not None:
            app = self.model[name]
            self.do(
                lambda daemon: daemon.call("PATCH", f"/apps/{name}/config-vars", changes),
                fuse,
                200,
                self.with_app(name, app.configured(changes)),
                self.with_app(name, app.configured(changes, "failed")),
            )

    @rule(which=WHICH, procfile=st.sampled_from(sorted(PROCFILES)), fuse=FUSE)
    def deploy(self, which: int, procfile: str, fuse: int | None) -> None:
        if (name := self.one(which)) is None:
            return
        app = self.model[name]
        types = PROCFILES[procfile]
        if "crash" in procfile and app.asked.get("web") == 0:
            return  # nothing of it is started, so nothing of it fails
        failed = self.with_app(name, app.released("failed", app.config, types))
        done = self.with_app(name, app.released("succeeded", app.config, types)) if types else failed
        self.do(lambda daemon: daemon.push(name, procfile), fuse, 200 if types else 422, done, failed)

    @rule(which=WHICH, version=st.integers(1, 9), fuse=FUSE)
    def roll_back(self, which: int, version: int, fuse: int | None) -> None:
        if (name := self.one(which)) is None or version > len(self.model[name].releases):
            return
        app = self.model[name]
        entry, done, status = app.releases[version - 1], self.model, 422
        if app.eligible(version):
            done, status = self.with_app(name, app.released("succeeded", entry.config, entry.types)), 201
        failed = self.with_app(name, app.released("failed", entry.config, entry.types)) if status == 201 else self.model
        body = {"release": f"v{version}"}
        self.do(lambda daemon: daemon.call("POST", f"/apps/{name}/releases", body), fuse, status, done, failed)

    @rule(which=WHICH, kind=st.sampled_from(["web", "worker"]), quantity=st.integers(0, 2), fuse=FUSE)
    def scale(self, which: int, kind: str, quantity: int, fuse: int | None) -> None:
        if (name := self.one(which)) is None:
            return
        app = self.model[name]
        known = kind in app.serving.types
        done = self.with_app(name, app.scaled({kind: quantity})) if known else self.model
        body = {"updates": [{"type": kind, "quantity": quantity}]}
        path = f"/apps/{name}/formation"
        self.do(lambda daemon: daemon.call("PATCH", path, body), fuse, 200 if known else 404, done)

    @rule(which=WHICH, fuse=FUSE)
    def restart(self, which: int, fuse: int | None) -> None:
        if (name := self.one(which)) is not None:
            self.do(lambda daemon: daemon.call("DELETE", f"/apps/{name}/dynos"), fuse, 202, self.model)

    @rule(which=WHICH, on=st.booleans(), fuse=FUSE)
    def maintenance(self, which: int, on: bool, fuse: int | None) -> None:
        if (name := self.one(which)) is not None:
            app = self.model[name]
            done = self.with_app(name, replace(app, maintenance=on))
            self.do(lambda daemon: daemon.call("PATCH", f"/apps/{name}", {"maintenance": on}), fuse, 200, done)

    @rule()
    def die(self) -> None:
        self.run(self._again())
        self.model = self.run(self._found([self.model]))

    @rule(which=st.integers(0, 3))
    def lose_a_dyno(self, which: int) -> None:
        """It ends by itself, and is started again."""
        running = self.run(self._running())
        if running and self.lost < LOST_MAX:
            self.lost += 1
            self.run(self._lose(running[which % len(running)]))

    async def _running(self) -> Sequence[str]:
        return [dyno.id for dyno in await self.outside.engine.dynos() if dyno.running]

    async def _end(self, dyno_id: str) -> None:
        self.outside.engine.die(dyno_id)

    async def _lose(self, dyno_id: str) -> None:
        await self._end(dyno_id)
        self.model = await self._found([self.model])

    async def _again(self) -> None:
        await self.daemon.kill()
        await self._boot()

    # --- what must be so --------------------------------------------------------------------------------------------

    def one(self, which: int) -> str | None:
        """The name of an app there is."""
        return sorted(self.model)[which % len(self.model)] if self.model else None

    def with_app(self, name: str, app: AppModel) -> Model:
        return {**self.model, name: app}

    def do(self, call: Call, fuse: int | None, wanted: int, done: Model, failed: Model | None = None) -> None:
        """One call, with or without a kill during it; the model is then what has been found to be so."""
        status = self.run(self._do(call, fuse))
        if fuse is None:
            assert status == wanted, f"answered {status}, not {wanted}"
            possible = [done]
        elif status is None:
            possible = [done, *([failed] if failed is not None else []), self.model]
        else:  # acknowledged before the kill; what it began may have been cut short by that
            possible = [done, *([failed] if failed is not None else [])]
        self.model = self.run(self._found(possible))

    async def _do(self, call: Call, fuse: int | None) -> int | None:
        if fuse is None:
            return (await call(self.daemon))[0]
        self.daemon.life.fuse = fuse
        calling = asyncio.ensure_future(call(self.daemon))
        ending = asyncio.ensure_future(self.daemon.life.over.wait())
        await asyncio.wait([calling, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        killing = asyncio.ensure_future(self._again())
        await asyncio.wait([calling], timeout=1.0)
        calling.cancel()
        await asyncio.wait([calling])
        await killing
        return None if calling.cancelled() else calling.result()[0]

    async def _found(self, possible: Sequence[Model]) -> Model:
        """Which of these is so, once all is quiet; AssertionError with what differs from each when none comes to be."""
        deadline = time.monotonic() + self.patience
        while True:
            seen = await self._seen()
            differences = [difference(model, seen) for model in possible]
            for model, different in zip(possible, differences, strict=True):
                if not different:
                    return model
            if time.monotonic() > deadline:
                raise AssertionError(f"none of {len(possible)} models: {differences}")
            await asyncio.sleep(self.pause)

    async def _seen(self) -> dict[str, dict[str, Any]]:
        """By app, all that can be seen of it from outside."""
        get = self.daemon.call
        known = await self._dynos()
        seen: dict[str, dict[str, Any]] = {}
        for app in (await get("GET", "/apps"))[1] or []:
            path = f"/apps/{app['name']}"
            releases = (await get("GET", f"{path}/releases"))[1]
            seen[app["name"]] = {
                "releases": [(entry["version"], entry["status"]) for entry in releases],
                "current": [entry["version"] for entry in releases if entry["current"]],
                "config": (await get("GET", f"{path}/config-vars"))[1],
                "maintenance": (await get("GET", path))[1]["maintenance"],
                "formation": {
                    entry["type"]: entry["quantity"]
                    for entry in (await get("GET", f"{path}/formation"))[1]
                    if entry["type"] != "release"  # listed for the clients' sake, as on Heroku; it has no dynos
                },
                "dynos": sorted((d["name"], d["state"]) for d in (await get("GET", f"{path}/dynos"))[1]),
                "engine": sorted(known.pop(app["id"], [])),
                "answer": await self._answer(app["name"]),
            }
        if known:
            seen["(no app)"] = {"engine": [dyno for dynos in known.values() for dyno in dynos]}
        return seen

    async def _dynos(self) -> dict[str, list[tuple[str, int]]]:
        """What there is on the engine: app id -> names and versions."""
        known: dict[str, list[tuple[str, int]]] = {}
        for dyno in await self.outside.engine.dynos():
            known.setdefault(dyno.app_id, []).append((dyno.name, dyno.release_version))
        return known

    async def _answer(self, name: str) -> str:
        """What a request to the app gets."""
        return self.daemon.world.answer(name)

    @invariant()
    def is_counted(self) -> None:
        """Each step is, the first app among them."""
        type(self).steps += 1

    @invariant()
    def nobody_was_cut_off(self) -> None:
        """No dyno is stopped while the router sends requests to it."""
        if hasattr(self, "outside"):
            assert self.outside.cut_off == []


def difference(model: Model, seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What is seen and not so in the model."""
    wanted = {
        name: {
            "releases": [(version, entry.status) for version, entry in enumerate(app.releases, 1)],
            "current": [app.current],
            "config": dict(app.config),
            "maintenance": app.maintenance,
            "formation": dict(app.formation),
            "dynos": sorted((dyno, "up") for dyno, _ in app.dynos),
            "engine": sorted(app.dynos),
            "answer": app.answer,
        }
        for name, app in model.items()
    }
    found: dict[str, Any] = {}
    for name in wanted.keys() | seen.keys():
        one, other = wanted.get(name, {}), seen.get(name, {})
        parts = {part: (one.get(part), other.get(part)) for part in {*one, *other} if one.get(part) != other.get(part)}
        if parts:
            found[name] = parts
    return found


def run(tmp_path: Path, examples: int, steps: int, number: int | None = None, kind: type[Platform] = Platform) -> int:
    """The steps of so many examples, so many each, drawn with the seed `number`; a failing one is printed as a program.

    Left to itself, Hypothesis ends an example after a few steps now and then.
    """
    migrate(tmp_path / "store.db")
    machine: type[Platform] = type("Platform", (kind,), {"template": tmp_path / "store.db"})
    if number is not None:
        seed(number)(machine)
    with structlog.testing.capture_logs():
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],  # where a kill falls is not the same twice: there is nothing to shrink
                report_multiple_bugs=False,
            ),
            _min_steps=steps,
        )
    return int(machine.steps)


def test_the_platform_is_what_a_model_says(tmp_path: Path) -> None:
    run(tmp_path, 10, 15)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.row("C02", "any order of calls and kills, against a model: 500 times 30 steps, and 20 times on Docker")
@pytest.mark.parametrize("number", range(1, 26), ids=lambda number: f"seed {number}")
def test_the_platform_is_what_a_model_says_500_times(
    tmp_path: Path, number: int, record_property: Callable[[str, object], None]
) -> None:
    """Twenty examples a seed, so that a run that was broken off goes on where it was."""
    record_property("steps", run(tmp_path, 20, 30, number))
    record_property("runs", 20)
