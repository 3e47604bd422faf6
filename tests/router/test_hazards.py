"""Bad input and ambiguous input, over raw sockets, before a recording app: what is refused never reaches it.

tests/router/hazard_list.py says which hazard each case is. Bites: with the names `Connection` nominates let through in
router/headers.py (either way), with any Host taken, with chunks sent to HTTP/1.0, with the cause of a too long answer
not kept in router/upstream.py, with a connection kept on which a body followed HEAD.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.router import hazard_list, trials
from tests.router.bad_answers import ANSWERED
from tests.router.conftest import Start
from tests.router.hazards import CARRIED, REFUSED
from tests.router.process import Parsed, RouterProcess, read_head, route
from tests.router.recorder import Recorder, read_answers
from tests.router.trials import Trial

Outcomes = Mapping[str, Trial]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    """A router whose own time limits are out of sight."""
    process = RouterProcess(tmp_path_factory.mktemp("patient") / "router")
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module", params=trials.WAYS)
def outcomes(request: pytest.FixtureRequest, patient: RouterProcess) -> Outcomes:
    """What came of each request, sent in this way."""
    held = {name: Trial(refused.data) for name, refused in REFUSED.items()}
    held |= {name: Trial(carried.data) for name, carried in CARRIED.items()}
    patient.mark()
    asyncio.run(trials.run(patient, held, trials.WAYS[request.param]))
    return held


@pytest.fixture(scope="module", params=trials.WAYS_ALONE)
def answered(request: pytest.FixtureRequest, patient: RouterProcess) -> Outcomes:
    """What came of each answer, to a request sent in this way."""
    held = {name: Trial(each.request, Recorder(each.app, closes=each.closes)) for name, each in ANSWERED.items()}
    patient.mark()
    asyncio.run(trials.run(patient, held, trials.WAYS_ALONE[request.param]))
    return held


def of(outcomes: Outcomes, name: str) -> Trial:
    trial = outcomes[name]
    if trial.failure is not None:
        raise trial.failure
    return trial


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_readers_could_read_differently_is_refused(outcomes: Outcomes, name: str) -> None:
    """One answer, the connection closed (the trial has read to its end), nothing forwarded, and one line."""
    trial, status = of(outcomes, name), REFUSED[name].status
    assert [answer.status for answer in read_answers(trial.answers)] == [status]
    if name.startswith("chunk "):  # comes when the head may be under way already: then it is never a whole request
        assert len(trial.heads) <= 1 and b"\r\n0\r\n\r\n" not in trial.carried
    else:
        assert trial.carried == b""
    assert b"canary" not in trial.carried
    assert len(trial.logged) == 1
    assert trial.logged[0].startswith("20") and ' at=error code=H26 desc="Request Error" ' in trial.logged[0]
    assert f" status={status} " in trial.logged[0]


@pytest.mark.parametrize("name", CARRIED)
def test_what_is_carried_is_read_by_the_app_as_by_the_router(outcomes: Outcomes, name: str) -> None:
    trial, hazard = of(outcomes, name), CARRIED[name]
    answers = read_answers(trial.answers)
    assert [(answer.status, answer.whole) for answer in answers] == [(200, True)] * len(hazard.lines)
    assert tuple(head.split(b"\r\n")[0] for head in trial.heads) == hazard.lines
    assert all(head.count(b"\r\nX-Request-Id: ") == 1 for head in trial.heads)
    assert trial.app.bodies == trial.as_sent(hazard.bodies)
    for word in hazard.never:
        assert word not in b"".join(trial.heads).lower()


@pytest.mark.parametrize("name", ANSWERED)
def test_what_an_app_answers_is_read_by_the_client_as_by_the_router(answered: Outcomes, name: str) -> None:
    """Whatever it was, the next request on the connection gets its own answer, if it gets one."""
    trial, wanted = of(answered, name), ANSWERED[name]
    answers = read_answers(trial.answers, [wanted.request.split(b" ")[0].decode()])
    if answers and answers[-1].body == b"last":
        assert answers.pop().status == 200
    if wanted.broken:
        assert len(answers) == 1 and not (answers[0].status == 200 and answers[0].whole)
    else:
        assert all(answer.whole for answer in answers)
        assert [answer.status for answer in answers] == [status for status, _ in wanted.wanted]
        for answer, (_, body) in zip(answers, wanted.wanted, strict=True):
            assert body is None or answer.body == body
    for words in wanted.has:
        assert words in trial.answers.lower()
    for words in wanted.lacks:
        assert words not in trial.answers.lower()
    assert b"canary" not in trial.app.raw
    if wanted.apart:
        assert not any(b" / HTTP/1.1" in raw and b"GET /last " in raw for raw in trial.app.connections)
    assert all(head.count(b"\r\nX-Request-Id: ") == 1 for head in trial.app.heads)
    assert len(trial.logged) == wanted.requests
    assert (" at=info " if wanted.code is None else f" code={wanted.code.name} ") in trial.logged[0]


async def test_a_head_split_anywhere_is_one_head(patient: RouterProcess) -> None:
    request = b"GET /first?a=b HTTP/1.1\r\nHost: shop.localhost\r\nX-A: b\r\nCookie: c\r\nConnection: close\r\n\r\n"

    async def split(reader: trials.Reader, writer: trials.Writer, data: bytes, _: bytes) -> bytes:
        at = int(data[:3])
        for piece in (data[3 : 3 + at], data[3 + at :]):
            writer.write(piece)
            await asyncio.sleep(0.01)
        return await reader.read()

    held = {str(at): Trial(b"%03d" % at + request) for at in range(1, len(request))}
    patient.mark()
    await trials.run(patient, held, split)
    for name in held:
        trial = of(held, name)
        assert [answer.body for answer in read_answers(trial.answers)] == [b"1"]
        assert len(trial.app.heads) == 1 and trial.app.heads[0].startswith(b"GET /first?a=b HTTP/1.1\r\n")


async def test_a_client_that_goes_in_its_answer_takes_the_app_s_connection_along(
    patient: RouterProcess, start: Start
) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
        await reader.read()
        gone.set()

    await patient.publish(route("shop", await start(serve)))
    reader, writer = await asyncio.open_connection("127.0.0.1", patient.port)
    writer.write(trials.FIRST)
    await reader.readuntil(b"half")
    writer.close()
    async with asyncio.timeout(5):
        await gone.wait()


@pytest.mark.parametrize(
    "sent", [b"GET /", b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n", b"GET / HTTP/1.1\r\nA: " + b"a" * 500]
)
@pytest.mark.parametrize("trickling", [False, True])
async def test_slowloris_is_told_and_cut(router: RouterProcess, start: Start, sent: bytes, trickling: bool) -> None:
    recorder = Recorder()
    await router.publish(route("shop", await start(recorder)))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(sent)
    reading = asyncio.create_task(reader.read())
    async with asyncio.timeout(8):
        while trickling and not reading.done():
            writer.write(b"a")
            await asyncio.sleep(0.05)
        assert Parsed(await reading).status == 408
    writer.close()
    assert len(await router.log_lines("code=H28 .* status=408 ")) == 1
    assert recorder.raw == b""


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_trickles_out_is_cut(router: RouterProcess, start: Start, chunked: bool) -> None:
    """A body's end may come late, but not never: silence ends it."""
    recorder = Recorder()
    await router.publish(route("shop", await start(recorder)))
    framing = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe" if chunked else b"Content-Length: 5\r\n\r\nhe"
    answers = await router.raw(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\n" + framing)
    assert answers == b"" and len(recorder.heads) == 1
    assert not recorder.raw.endswith(b"0\r\n\r\n")
    assert len(await router.log_lines("code=H28 .* status=499 ")) == 1


async def test_a_connection_that_says_nothing_costs_nothing_and_is_no_request(router: RouterProcess) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", router.port)
    await asyncio.sleep(0.8)
    writer.close()
    await router.raw(b"nonsense\r\n\r\n")
    assert len(await router.log_lines("code=")) == 1


def test_none_of_the_hazards_is_missing() -> None:
    assert [hazard.number for hazard in hazard_list.HAZARDS] == list(range(1, 39))
    named = {case for hazard in hazard_list.HAZARDS for case in hazard.cases}
    named |= {case for cases in hazard_list.BAD_INPUT.values() for case in cases}
    tables = {**REFUSED, **CARRIED, **ANSWERED}
    assert len(tables) == len(REFUSED) + len(CARRIED) + len(ANSWERED)
    assert all(hazard.cases for hazard in hazard_list.HAZARDS) and all(hazard_list.BAD_INPUT.values())
    here = Path(__file__).parent
    for case in named - tables.keys():
        file, _, test = case.partition("::")
        assert f"def {test}(" in (here / file).read_text(), case


def test_every_case_says_which_hazard_it_is() -> None:
    named = {case for hazard in hazard_list.HAZARDS for case in hazard.cases}
    named |= {case for cases in hazard_list.BAD_INPUT.values() for case in cases}
    assert {*REFUSED, *CARRIED, *ANSWERED} - named == set()
