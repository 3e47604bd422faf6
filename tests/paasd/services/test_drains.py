"""Log drains over real sockets, from a real journal: each line, in order, over failures and restarts; what is lost is
counted to the line."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from paasd.adapters.drain_outlets import DrainOutlets
from paasd.adapters.log_journal import LogJournal
from paasd.adapters.web_fetch import WebFetch
from paasd.domain.app import App
from paasd.domain.drain import Drain
from paasd.domain.dyno import LogLine
from paasd.domain.errors import InvalidParams, NotFound
from paasd.services.background import Background
from paasd.services.drains import DRAINS_OF_APP, DrainRules, Drains
from paasd.services.logs import AppLogs
from tests.paasd.services.world import World, until
from tests.receivers import LogplexReceiver, Receiver, SyslogReceiver, authority

RULES = DrainRules(first_pause=0.01, longest_pause=0.05, save=0.02)
DROPPED = re.compile(r"Error L10 \(output buffer overflow\): (\d+) messages dropped")
SMALL = 25 * 4096  # the least that a journal keeps in 25 pieces


@dataclass
class Plant:
    """An app with drains, and the daemon that works them; `restart` is the next."""

    world: World
    home: Path
    app: App
    logs: AppLogs
    drains: Drains
    background: Background
    sent: list[str] = field(default_factory=list)

    async def add(self, url: str) -> Drain:
        return await self.drains.add(self.world.actor, self.app, url)

    def line(self, text: str) -> None:
        self.sent.append(text)
        self.logs.append(self.app.id, LogLine(datetime.now(UTC), "app", "web.1", text, 1))

    def lines(self, count: int, size: int = 0) -> None:
        first = len(self.sent)
        for number in range(first, first + count):
            self.line(f"line {number} ".ljust(size, "x"))


def plant(world: World, home: Path, app: App, max_bytes: int = 100_000_000) -> Plant:
    background = Background()
    logs = AppLogs(world.engine, world.router, background, LogJournal(home, max_bytes=max_bytes, days=7))
    outlets = DrainOutlets(WebFetch(("127.0.0.0/8",)))
    drains = Drains(world.store, outlets, logs, background, RULES)
    background.spawn("log drains", drains.keep())
    return Plant(world, home, app, logs, drains, background)


@asynccontextmanager
async def running(world: World, home: Path, app: App, max_bytes: int = 100_000_000) -> AsyncIterator[Plant]:
    made = plant(world, home, app, max_bytes)
    try:
        yield made
    finally:
        await made.background.close()


@pytest.fixture
async def shop(world: World) -> App:
    return await world.create()


@pytest.fixture
async def syslog() -> AsyncIterator[SyslogReceiver]:
    found = await SyslogReceiver().up()
    yield found
    await found.down(reset=True)


@pytest.fixture
async def logplex() -> AsyncIterator[LogplexReceiver]:
    found = await LogplexReceiver().up()
    yield found
    await found.down()


def own(receiver: Receiver) -> list[str]:
    return [text for text in receiver.texts if text.startswith("line ")]


def dropped(receiver: Receiver) -> int:
    return sum(int(found[1]) for text in receiver.texts if (found := DROPPED.search(text)))


KINDS: list[Callable[[], Awaitable[Receiver]]] = [lambda: SyslogReceiver().up(), lambda: LogplexReceiver().up()]


@pytest.mark.parametrize("make", KINDS, ids=["syslog", "logplex"])
async def test_every_line_in_order_as_it_comes(
    world: World, tmp_path: Path, shop: App, make: Callable[[], Awaitable[SyslogReceiver | LogplexReceiver]]
) -> None:
    receiver = await make()
    async with running(world, tmp_path, shop) as here:
        here.line("before")
        drain = await here.add(receiver.url)
        here.lines(3000)
        await until(lambda: len(own(receiver)) == 3000)
        assert own(receiver) == here.sent[1:]
        assert receiver.texts[0] == "Add drain to 127.0.0.1 by user ann@example.org (owner)"
        here.logs.note(shop.id, "router", "at=info")
        here.logs.note(shop.id, "release.1", "migrated", source="app")
        await until(lambda: receiver.seen("migrated"))
        *_, router, release = receiver.messages
        assert (router.priority, router.app, router.process) == (158, "heroku", "router")
        assert (release.priority, release.app, release.process) == (190, "app", "release.1")
        assert router.host == (drain.token if isinstance(receiver, SyslogReceiver) else "host")
    await receiver.down()


async def test_a_dead_receiver_that_comes_back_has_all(world: World, tmp_path: Path, shop: App) -> None:
    """Also what it was sent and had not read. Bites: without `_go_back` the last lines before it broke off are
    missing."""
    receiver = await SyslogReceiver().up()
    async with running(world, tmp_path, shop) as here:
        await here.add(receiver.url)
        here.lines(100)
        await until(lambda: len(own(receiver)) == 100)
        receiver.reading.clear()
        here.lines(1)  # taken by the read that had begun
        await until(lambda: len(own(receiver)) == 101)
        here.lines(50)
        await until(lambda: all(flow.position >= here.logs.last(shop.id) for flow in here.drains.flows.values()))
        await receiver.down(reset=True)
        here.lines(2000, 500)
        receiver.reading.set()
        await until(lambda: any(text.startswith("Drain ") for text in told(here)))
        await receiver.up()
        await until(lambda: {*here.sent} <= {*own(receiver)})
        await until(lambda: any(text.endswith("is back.") for text in told(here)))
        assert own(receiver)[-2000:] == here.sent[-2000:]
        assert dropped(receiver) == 0
    await receiver.down()


def told(here: Plant) -> list[str]:
    """What the app's log says of its drains."""
    ring = here.logs._ring(here.app.id)
    return [line.text for _, line in ring.lines if line.process == "logplex"]


async def test_what_the_log_holds_no_more_is_counted_to_the_line(world: World, tmp_path: Path, shop: App) -> None:
    """In the place of the lines, and in the app's log. Bites: without `leaps` the restart's leap in the numbers counts
    as 10**15 lines; without `missing` nothing is said."""
    receiver = await LogplexReceiver().up()
    async with running(world, tmp_path, shop, SMALL) as here:
        drain = await here.add(receiver.url)
        here.lines(100)
        await until(lambda: len(own(receiver)) == 100)
        await receiver.down()
        here.lines(1000, 200)
        await until(lambda: here.drains.flows[drain.id].failures > 0)
    sent = here.sent
    async with running(world, tmp_path, shop, SMALL) as here:
        here.sent = sent
        here.lines(4000, 200)
        notes = here.logs.last(shop.id)
        await receiver.up()
        here.line("the last")
        await until(lambda: receiver.seen("the last"))
        got = own(receiver)
        assert len(got) == len({*got}) and got == [text for text in sent if text in {*got}]
        lost = dropped(receiver)
        # Of the lines gone, one said that the receiver was away.
        assert lost == len(sent) - 1 - len(got) + (0 if receiver.seen("can't be reached") else 1)
        assert 3000 < lost < 5000 and notes
        await until(lambda: any(f"{lost} messages dropped" in text and drain.id in text for text in told(here)))
        # Those who were not away hear of it; it itself was told in its place.
        assert not receiver.seen("drain buffer overflow")
    await receiver.down()


async def test_a_drain_goes_on_after_a_restart_where_it_was(
    world: World, tmp_path: Path, shop: App, logplex: LogplexReceiver
) -> None:
    """Bites: without `move_drains` all lines come twice."""
    async with running(world, tmp_path, shop) as here:
        drain = await here.add(logplex.url)
        here.lines(10)
        await until(lambda: len(own(logplex)) == 10)
        async with asyncio.timeout(20):  # what was answered is kept a moment later
            while (await world.store.drains())[0].position <= drain.position:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    away = plant(world, tmp_path, shop)
    await away.background.close()
    async with running(world, tmp_path, shop) as again:
        again.sent = here.sent
        again.lines(5)
        await until(lambda: len(own(logplex)) == 15)
        assert own(logplex) == again.sent and dropped(logplex) == 0


async def test_what_fails_is_sent_again_as_the_same_frame(
    world: World, tmp_path: Path, shop: App, logplex: LogplexReceiver
) -> None:
    """Bites: without `retry_to` the second attempt is another frame, with the lines that came meanwhile."""
    logplex.answers = [503, 401]
    async with running(world, tmp_path, shop) as here:
        await here.add(logplex.url)
        await until(lambda: bool(logplex.frames))
        here.lines(3)
        await until(lambda: len(own(logplex)) == 3)
        assert logplex.frames[0] == logplex.frames[1] == logplex.frames[2] != logplex.frames[3]
        assert len([text for text in told(here) if "answered 503" in text]) == 1


async def test_what_is_refused_is_dropped_and_counted(
    world: World, tmp_path: Path, shop: App, logplex: LogplexReceiver
) -> None:
    """Bites: without Refused one bad line holds the drain up for ever."""
    async with running(world, tmp_path, shop) as here:
        await here.add(logplex.url)
        await until(lambda: len(logplex.messages) == 1)
        logplex.answers = [400]
        here.lines(7)
        await until(lambda: any("status 400" in text for text in told(here)))
        await until(lambda: dropped(logplex) == 7)
        assert own(logplex) == []
        logplex.answers = [413]
        here.lines(8)
        await until(lambda: len(own(logplex)) == 8)
        assert own(logplex) == here.sent[7:] and dropped(logplex) == 7
        await until(lambda: any("7 messages dropped" in text for text in told(here)))


async def test_passwords_go_in_a_header_and_nowhere_else(
    world: World, tmp_path: Path, shop: App, logplex: LogplexReceiver
) -> None:
    """Bites: sealed as it is, the URL stands in the database."""
    url = logplex.url.replace("http://", "http://ann:s3cret%40word@")
    logplex.answers = [500]
    async with running(world, tmp_path, shop) as here:
        with structlog.testing.capture_logs() as said:
            drain = await here.add(url)
            await until(lambda: len(said) > 1)
        assert logplex.messages
        assert [line["event"] for line in said] == ["log drain is away", "log drain is back"]
        assert logplex.headers[0]["Authorization"] == "Basic YW5uOnMzY3JldEB3b3Jk"
        assert logplex.headers[0]["Logplex-Drain-Token"] == drain.token
        assert "s3cret" not in repr(drain) and not any("s3cret" in text for text in told(here))
        database = world.store._database.path
        for path in (database, database.with_suffix(".db-wal")):
            assert b"s3cret" not in path.read_bytes()
    assert "s3cret" not in repr(said)


async def test_under_tls_the_certificate_must_be_good(
    world: World, tmp_path: Path, shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bites: without a context of its own any certificate will do."""
    context, certificate = authority(tmp_path)
    syslog, logplex = await SyslogReceiver(context).up(), await LogplexReceiver(context).up()
    async with running(world, tmp_path, shop) as here:
        for receiver in (syslog, logplex):
            await here.add(receiver.url)
        what = "Error L14 (certificate validation error)"
        await until(lambda: len([text for text in told(here) if text.startswith(what)]) == 2)
        assert not syslog.messages and not logplex.messages
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        here.lines(100)
        await until(lambda: own(syslog) == own(logplex) == here.sent)
    await syslog.down(reset=True)
    await logplex.down()


async def test_a_receiver_that_takes_nothing_holds_nobody_up(
    world: World, tmp_path: Path, shop: App, syslog: SyslogReceiver, logplex: LogplexReceiver
) -> None:
    syslog.reading.clear()
    async with running(world, tmp_path, shop) as here:
        for receiver in (syslog, logplex):
            await here.add(receiver.url)
        here.lines(5000, 1000)
        await until(lambda: own(logplex) == here.sent, 30)
        assert not syslog.messages
        syslog.reading.set()
        await until(lambda: own(syslog) == here.sent, 30)


async def test_what_may_not_be_a_drain(world: World, tmp_path: Path, shop: App) -> None:
    async with running(world, tmp_path, shop) as here:
        drain = await here.add("syslog://127.0.0.9:9")
        for url in ("syslog://10.0.0.1:514", "https://169.254.169.254/latest", "ftp://127.0.0.1", drain.url):
            with pytest.raises(InvalidParams):
                await here.add(url)
        for number in range(DRAINS_OF_APP - 1):
            await here.add(f"syslog://127.0.0.9:{number + 10}")
        with pytest.raises(InvalidParams):
            await here.add("syslog://127.0.0.9:8")


async def test_a_name_that_moves_to_a_private_address_is_not_followed(
    world: World, tmp_path: Path, shop: App, syslog: SyslogReceiver
) -> None:
    """It was public when it was added. Bites: without `addresses` at each connection the lines go there."""
    now = datetime.now(UTC)
    async with running(world, tmp_path, shop) as here:
        here.drains.outlets = DrainOutlets(WebFetch())
        url = f"syslog://localhost:{syslog.port}"
        kept = Drain("0" * 36, shop.id, "d.1", url, here.logs.last(shop.id), now, now)
        await world.store.insert_drain(kept)
        here.drains.woken.set()
        here.lines(1)
        await until(lambda: any("not a public address" in text for text in told(here)))
        assert not syslog.connections


async def test_drains_are_found_by_id_token_and_url_and_end(
    world: World, tmp_path: Path, shop: App, syslog: SyslogReceiver
) -> None:
    async with running(world, tmp_path, shop) as here:
        drain = await here.add(syslog.url)
        for name in (drain.id, drain.token, drain.url):
            assert (await here.drains.find(shop, name)).id == drain.id
        with pytest.raises(NotFound):
            await here.drains.find(shop, "d.0")
        await until(lambda: len(syslog.messages) == 1)
        await here.drains.remove(world.actor, shop, drain)
        here.lines(3)
        assert not here.drains.flows and await here.drains.of(shop) == []
        other = await here.add(syslog.url)
        assert other.token != drain.token
        await until(lambda: len(syslog.messages) == 2)
        await world.store.archive_app(shop.id)
        await until(lambda: not here.drains.flows)
        with pytest.raises(NotFound):
            await world.store.insert_drain(replace(other, id="1" * 36, token="d.2"))
        assert not own(syslog)
