"""What app.json asks for at an app's first deploy."""

import asyncio
import json
import re

from paasd.domain.app_json import EnvEntry
from paasd.domain.dyno import Exit
from paasd.services.first_deploy import filled_in
from tests.fake_commands import Behaviour
from tests.paasd.services.world import World, cancelled, until, wire


def test_only_what_is_missing_is_filled_in() -> None:
    env = {"A": EnvEntry("1"), "B": EnvEntry("2"), "C": EnvEntry(generated=True), "D": EnvEntry(required=True)}
    found, again = filled_in(env, {"A": "mine"}), filled_in(env, {})
    assert found["B"] == "2"
    assert re.fullmatch(r"[0-9a-f]{64}", found["C"])
    assert set(found) == {"B", "C"}
    assert again["C"] != found["C"]


async def test_config_vars_are_part_of_the_release_and_a_secret_is_made_once(world: World) -> None:
    """Bites: a secret that is made at each deploy logs everybody out."""
    app = await world.create()
    text = json.dumps({"env": {"SECRET_KEY": {"generator": "secret"}, "MODE": "on", "TOKEN": {"description": "x"}}})
    said = await world.push(app, **{"app.json": text})
    assert "Setting config vars by app.json: SECRET_KEY, MODE" in said
    assert "app.json asks for config vars that are not set: heroku config:set TOKEN=…" in said
    first = (await world.release(app, 2)).config
    assert first["MODE"] == "on"
    assert first["SECRET_KEY"] not in said
    said = await world.push(app, **{"app.json": text})
    assert "Setting config vars" not in said
    assert (await world.release(app, 3)).config == first


async def test_heroku_yml_s_config_is_set_before_the_first_release_and_never_again(world: World) -> None:
    """What the app has is left, and what both files say is heroku.yml's. Bites: a config var that somebody removed
    and that each push brings back; broken by `_setup` without its look at what is served."""
    app = await world.create()
    await world.config(app, OWN="mine")
    files = {
        "heroku.yml": "setup: {config: {OWN: theirs, BOTH: 1, GONE: x}}\n",
        "app.json": json.dumps({"env": {"BOTH": "2", "KEPT": "k", "GONE": {"description": "x"}}}),
    }
    said = await world.push(app, **files)
    assert "Setting config vars by heroku.yml: BOTH, GONE\n" in said
    assert "Setting config vars by app.json: KEPT\n" in said
    assert "not set" not in said
    assert (await world.release(app, 3)).config == {"OWN": "mine", "BOTH": "1", "GONE": "x", "KEPT": "k"}
    await world.config(app, BOTH=None, GONE=None)
    said = await world.push(app, **files)
    assert "by heroku.yml" not in said
    assert (await world.release(app, 5)).config == {"OWN": "mine", "BOTH": "2", "KEPT": "k"}


async def test_the_formation_is_app_json_s_until_somebody_scales(world: World) -> None:
    app = await world.create()
    text = json.dumps({"formation": {"web": {"quantity": 2}, "worker": 1}})
    await world.push(app, "web: serve\nworker: serve\n", **{"app.json": text})
    assert (await world.release(app, 2)).formation == {"web": 2, "worker": 1}
    assert (await world.release(app, 2)).processes.quantities == {"web": 2, "worker": 1}


async def test_predeploy_runs_before_the_release_command_of_each_deploy(world: World) -> None:
    for command in ("( check ) && migrate", "check"):
        world.engine.commands[command] = Behaviour(ends=Exit(0))
    app = await world.create()
    text = json.dumps({"scripts": {"predeploy": "check"}})
    await world.push(app, "web: serve\nrelease: migrate\n", **{"app.json": text})
    assert (await world.release(app, 2)).processes.release == "( check ) && migrate"
    await world.push(app, "web: serve\n", **{"app.json": text})
    assert (await world.release(app, 3)).processes.release == "check"


async def test_postdeploy_runs_once_after_the_first_deploy_and_undoes_nothing(world: World) -> None:
    world.engine.commands["seed"] = Behaviour(ends=Exit(3))
    app = await world.create()
    text = json.dumps({"scripts": {"postdeploy": "seed"}})
    said = await world.push(app, **{"app.json": text})
    assert said.index("v2 is live") < said.index("Running app.json's postdeploy, once: seed")
    assert "v2 serves all the same. Run it by hand: heroku run 'seed'" in said
    assert world.answer() == "v2"
    assert "postdeploy" not in await world.push(app, **{"app.json": text})


async def test_a_daemon_killed_before_the_end_makes_up_for_it(world: World) -> None:
    """Bites: without `make_up` at the next daemon's start the command is lost."""
    world.engine.commands["seed"] = Behaviour(prints=(b"seeding\n",))  # until it is told to end
    app = await world.create()
    text = json.dumps({"scripts": {"postdeploy": "seed"}})
    pushing = asyncio.create_task(world.push(app, **{"app.json": text}))
    await until(lambda: any("postdeploy" in task.get_name() for task in world.background._tasks))
    await cancelled(pushing)  # the pusher goes away: the command goes on
    assert any("postdeploy" in task.get_name() for task in world.background._tasks)
    await world.background.close()
    world.engine.commands["seed"] = Behaviour(prints=(b"seeded at last\n",), ends=Exit(0))
    again = wire(world.outside)
    await again.recovery.boot()
    await until(lambda: not any("postdeploy" in task.get_name() for task in again.background._tasks))
    lines = again.lines(app)
    assert any("Running app.json's postdeploy of v2 anew" in line for line in lines), lines
    assert any("seeded at last" in line for line in lines), lines
    assert again.answer() == "v2"
    await again.background.close()
    third = wire(world.outside)
    await third.recovery.boot()
    assert not any("postdeploy" in task.get_name() for task in third.background._tasks)
    await third.background.close()
