"""What every provider of add-ons keeps, over PostgreSQL and Redis, and over a third party's service as far as
Heroku's partner API goes: it knows no passwords of ours, no programs, and nothing that is kept for later."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.process_addon_server import user_of
from paasd.adapters.process_addons import EmbeddedAddons
from paasd.adapters.process_dynos import write_json
from paasd.domain.addon import Kind
from paasd.domain.errors import InvalidParams, NotFound, Unavailable
from paasd.ports import Order, Watched
from tests.contracts.addon_benches import PROVIDERS, AddonBench

pytestmark = pytest.mark.timeout(180)

MARKS = {"container": [pytest.mark.docker]}
CASES = [
    pytest.param(name, kind, id=f"{name}-{kind}", marks=MARKS.get(name, []))
    for name in PROVIDERS
    for kind in (Kind.POSTGRESQL, Kind.REDIS)
    if (name, kind) != ("shared", Kind.REDIS)  # it has none, and says so: tests/paasd/adapters/test_shared_addons.py
    and name != "partner"
]
PARTNER = pytest.param("partner", Kind.PARTNER, id="partner")
with_partners = pytest.mark.parametrize(("name", "kind"), [*CASES, PARTNER])
everywhere = pytest.mark.parametrize(("name", "kind"), CASES)


@pytest.fixture
async def bench(name: str, kind: Kind) -> AsyncIterator[AddonBench]:
    async with asyncio.timeout(150), PROVIDERS[name](kind) as opened:
        yield opened


@everywhere
async def test_the_life_of_one(bench: AddonBench) -> None:
    provider = bench.provider
    assert await provider.problem(bench.kind) is None
    order = await bench.provisioned()
    app = order.apps[0]
    access = await provider.access(order, app)
    assert access.url.startswith("postgres://" if bench.kind is Kind.POSTGRESQL else "redis://")
    assert order.secret not in repr(order) + repr(access)
    assert await bench.is_let_in(access)
    await bench.put(order, "first")
    await provider.provision(order)  # done before: nothing changes
    assert (await bench.rows(order), await provider.access(order, app)) == (["first"], access)
    condition = await provider.condition(order)
    assert condition.up and condition.facts and condition.used
    assert list(await provider.kept()) == [order.addon_id]

    await bench.kill(order)
    assert not (await provider.condition(order)).up
    await bench.restart()
    await provider.mend([order])
    assert (await bench.rows(order), await provider.access(order, app)) == (["first"], access)

    await provider.set_aside(order)
    await provider.set_aside(order)
    assert not await reached(bench, order)
    assert list(await provider.kept()) == [order.addon_id]
    await provider.bring_back(order)
    assert (await bench.rows(order), await provider.access(order, app)) == (["first"], access)
    assert await bench.is_let_in(access)

    await provider.reset(order)
    await bench.put(order, "second")
    assert await bench.rows(order) == ["second"]
    assert await bench.is_let_in(access)

    await provider.purge(order)
    await provider.purge(order)
    assert list(await provider.kept()) == []
    assert await bench.traces() == []
    with pytest.raises(NotFound):
        await provider.bring_back(order)
    with pytest.raises(NotFound):
        await provider.condition(order)


@everywhere
async def test_the_end_of_a_server_is_told_at_once(bench: AddonBench) -> None:
    """Also to a daemon that did not start it; one whose servers are somebody else's can't tell."""
    order = await bench.provisioned()
    for provider in (bench.provider, bench.again()):
        if not isinstance(provider, Watched):
            assert bench.provider.name == "shared"
            return
        async with provider if provider is not bench.provider else nullcontext(provider):
            endings = provider.endings()
            assert await anext(endings) is None
            await bench.kill(order)
            async with asyncio.timeout(5):
                assert await anext(endings) == order.addon_id
            await provider.mend([order])
            assert (await provider.condition(order)).up
            await endings.aclose()


def servers_users(pid: int) -> set[int]:
    """Whose the server's processes are, from `pid` down. (The sandbox's own helper has /proc/PID be root's.)"""
    found, below = set(), [pid]
    while below:
        process = Path(f"/proc/{below.pop()}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        if status["Name"] in ("postgres", "redis-server"):
            found.add(int(status["Uid"].split()[0]))
        for task in process.glob("task/*/children"):
            below += [int(child) for child in task.read_text().split()]
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives servers users of their own")
@pytest.mark.parametrize("kind", [Kind.POSTGRESQL, Kind.REDIS])
async def test_each_server_of_this_machine_has_a_user_of_its_own(kind: Kind) -> None:
    """And one that was made before goes on as the packages' user. Bites: `_launch` as `user_of(order.kind)`."""
    async with asyncio.timeout(150), PROVIDERS["embedded"](kind) as bench:
        first, second = await bench.provisioned(), await bench.provisioned()
        assert isinstance(bench.provider, EmbeddedAddons)
        folders = [bench.provider._folder(order) for order in (first, second)]
        owners = [{path.stat().st_uid for path in folder.data.rglob("*")} for folder in folders]
        assert [len(each) for each in owners] == [1, 1] and owners[0] != owners[1]
        for folder, [owner] in zip(folders, owners, strict=True):
            ran = json.loads((folder.path / "run.json").read_text())
            assert servers_users(ran["child"]) == {owner} and owner > 960_000_000
        await bench.put(first, "kept")

        made = folders[0].need()
        await bench.provider.set_aside(first)
        write_json(folders[0].path / "addon.json", {name: made[name] for name in made if name != "user"})
        folders[0].own_all(folders[0].data)  # as it was before each had its own
        await bench.provider.bring_back(first)
        assert await bench.rows(first) == ["kept"]
        assert folders[0].data.stat().st_uid == (user_of(kind) or (None,))[0]


@everywhere
async def test_it_ends_in_order_though_somebody_is_connected(bench: AddonBench) -> None:
    """Bites, of `embedded`: a PostgreSQL that is sent SIGTERM waits for its clients, and is killed after 30 s."""
    provider, order = bench.provider, await bench.provisioned()
    await bench.put(order, "kept")
    waiting = await provider.tool(order, ["psql", "-qAtX"] if bench.kind is Kind.POSTGRESQL else ["redis-cli"])
    await waiting.write(b"SELECT 'here';\n" if bench.kind is Kind.POSTGRESQL else b"ECHO here\n")
    assert b"here" in await anext(waiting.output())
    async with asyncio.timeout(20):
        await provider.set_aside(order)
    await waiting.close()
    await provider.bring_back(order)
    assert await bench.rows(order) == ["kept"]


@pytest.mark.parametrize(("name", "kind"), [PARTNER])
async def test_the_life_of_a_partner_s(bench: AddonBench) -> None:
    provider = bench.provider
    assert await provider.problem(bench.kind) is None
    order = await bench.provisioned()
    access = await provider.access(order, order.apps[0])
    assert order.values["TOKEN"] not in repr(order) + repr(access)
    assert await bench.is_let_in(access)
    await bench.put(order, "first")
    again = await provider.provision(order)
    assert again is not None and (again.resource, again.values) == (order.resource, order.values)
    assert (await provider.condition(order)).up
    await bench.kill(order)
    for asked in (provider.resize(order), provider.purge(order), provider.provision(order)):
        with pytest.raises(Unavailable):
            await asked
    await bench.restart()
    await provider.mend([order])
    assert (await bench.rows(order), await provider.access(order, order.apps[0])) == (["first"], access)
    await provider.link(order, order.apps[0])
    await provider.unlink(order, order.apps[0])
    for refused in (
        provider.rotate(order),
        provider.hang_up(order),
        provider.reset(order),
        provider.tool(order, ["sh"]),
    ):
        with pytest.raises(InvalidParams, match="Keeper"):
            await refused
    assert await bench.rows(order) == ["first"]
    await provider.set_aside(order)
    await provider.set_aside(order)
    assert (await bench.traces(), await bench.is_let_in(access), list(await provider.kept())) == ([], False, [])
    with pytest.raises(NotFound):
        await provider.bring_back(order)
    await provider.purge(order)
    await bench.again().purge(order)


async def reached(bench: AddonBench, order: Order) -> bool:
    try:
        return (await bench.provider.condition(order)).up
    except NotFound:
        return False


@everywhere
@pytest.mark.slow
async def test_a_new_password_is_the_only_one(bench: AddonBench) -> None:
    provider, order = bench.provider, await bench.provisioned()
    app = order.apps[0]
    before = await provider.access(order, app)
    await bench.put(order, "kept")
    waiting = await provider.tool(order, ["psql", "-qAtX"] if bench.kind is Kind.POSTGRESQL else ["redis-cli"])
    await waiting.write(b"SELECT 'here';\n" if bench.kind is Kind.POSTGRESQL else b"ECHO here\n")
    reading = waiting.output()
    assert b"here" in await anext(reading)

    rotated = replace(order, secret="x" * 43)
    await provider.rotate(rotated)
    assert not await bench.is_let_in(before)
    assert await bench.is_let_in(await provider.access(rotated, app))
    assert await bench.rows(rotated) == ["kept"]
    await waiting.write(b"SELECT 'still';\n" if bench.kind is Kind.POSTGRESQL else b"ECHO still\n")
    await waiting.end_input()
    assert b"\nstill" not in b"\n" + b"".join([chunk async for chunk in reading])
    await waiting.close()
    await provider.rotate(rotated)
    await provider.hang_up(rotated)
    assert await bench.rows(rotated) == ["kept"]


@everywhere
@pytest.mark.slow
async def test_the_plan_is_put_in_force(bench: AddonBench) -> None:
    provider, order = bench.provider, await bench.provisioned()
    before = await provider.access(order, order.apps[0])
    await bench.put(order, "kept")
    plan = replace(order.plan, name="larger", memory=(order.plan.memory or 0) * 2, connections=40)
    larger = replace(order, plan=plan)
    await provider.resize(larger)
    assert (await bench.rows(larger), await provider.access(larger, order.apps[0])) == (["kept"], before)
    assert any("/40" in fact for fact in (await provider.condition(larger)).facts.values())
    with pytest.raises(InvalidParams, match="larger plan"):
        await provider.resize(replace(larger, plan=replace(plan, memory=1, disk=1)))
    assert await bench.rows(larger) == ["kept"]


@with_partners
@pytest.mark.slow
async def test_two_are_strangers(bench: AddonBench) -> None:
    provider = bench.provider
    first, second = await asyncio.gather(bench.provisioned(), bench.provisioned())
    await bench.put(first, "first")
    await bench.put(second, "second")
    assert (await bench.rows(first), await bench.rows(second)) == (["first"], ["second"])
    theirs = await provider.access(second, second.apps[0])
    mine = await provider.access(first, first.apps[0])
    if bench.kind is Kind.PARTNER:
        assert mine.config != theirs.config
        with pytest.raises(NotFound):
            await provider.access(first, second.apps[0])
        return
    crossed = replace(theirs, url=theirs.url.replace(second.secret, first.secret))
    assert await bench.is_let_in(theirs)  # so it would be seen
    assert not await bench.is_let_in(crossed)
    if bench.kind is Kind.POSTGRESQL:
        into_theirs = mine.url.replace(
            f"{mine.host}:{mine.port}/{mine.database}", f"{theirs.host}:{theirs.port}/{theirs.database}"
        )
        assert not await bench.is_let_in(replace(mine, url=into_theirs))
    with pytest.raises(NotFound):
        await provider.access(first, second.apps[0])
    assert sorted(await provider.kept()) == sorted((first.addon_id, second.addon_id))


@everywhere
@pytest.mark.slow
async def test_another_app_is_linked_and_unlinked(bench: AddonBench) -> None:
    provider, order = bench.provider, await bench.provisioned()
    other = bench.order().apps[0]
    both = replace(order, apps=(*order.apps, other))
    await provider.link(both, other)
    await provider.link(both, other)
    assert await bench.is_let_in(await provider.access(both, other))
    await bench.kill(both)
    await bench.restart()
    await provider.mend([both])
    assert await bench.is_let_in(await provider.access(both, other))
    await provider.unlink(order, other)
    await provider.unlink(order, other)
    with pytest.raises(NotFound):
        await provider.access(order, other)
    assert await bench.is_let_in(await provider.access(order, order.apps[0]))
    await provider.set_aside(order)
    await provider.bring_back(replace(order, apps=()))  # whose apps are gone is wanted by another
    theirs = replace(order, apps=(other,))
    await provider.link(theirs, other)
    assert await bench.is_let_in(await provider.access(theirs, other))


@everywhere
@pytest.mark.slow
async def test_its_tools_speak_on_pipes(bench: AddonBench) -> None:
    order = await bench.provisioned()
    await bench.put(order, "first")
    with pytest.raises(InvalidParams, match="has no program sh"):
        await bench.provider.tool(order, ["sh", "-c", "id"])
    if bench.kind is not Kind.POSTGRESQL:
        return
    code, dump = await bench.tool(order, "pg_dump", "-Fc", "--no-owner")
    assert code == 0 and dump.startswith(b"PGDMP")
    await bench.provider.reset(order)
    access = await bench.provider.access(order, order.apps[0])
    code, said = await bench.tool(order, "pg_restore", "--no-owner", "-d", access.database, given=dump)
    assert code == 0, said
    assert await bench.rows(order) == ["first"]


@with_partners
@pytest.mark.slow
async def test_cut_off_at_any_moment_it_is_finished_or_gone(bench: AddonBench) -> None:
    for seconds in (0.0, 0.002, 0.005) if bench.kind is Kind.PARTNER else (0.05, 0.2, 0.4, 0.8, 1.6):
        order = bench.order()
        task = asyncio.ensure_future(bench.provider.provision(order))
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            await task
            await bench.provider.purge(order)
            continue
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bench.traces() == [], seconds
    made = await bench.provider.provision(order)
    order = order if made is None else replace(order, resource=made.resource, values=made.values)
    await bench.put(order, "first")
    assert await bench.rows(order) == ["first"]
