"""What every Store must do with calls that may be sent again."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from paasd.adapters import store_requests
from paasd.domain.app import App
from paasd.domain.errors import NotFound
from paasd.domain.request import Answered, Asked
from paasd.ports import Store
from tests.contracts.ledger import new_id

ASKED = Asked(new_id(), new_id(), "PATCH", "/apps/shop/config-vars", "d" * 64)


async def test_an_answer_is_found_by_account_number_method_and_path(store: Store) -> None:
    found = Answered("d" * 64, 200, '{"A": "ü"}', {"X-Heroku-Warning": "No."})
    assert await store.answered(ASKED) is None
    await store.keep_answer(ASKED, found)
    assert await store.answered(replace(ASKED, digest="e" * 64)) == found
    for other in ({"account_id": new_id()}, {"number": new_id()}, {"method": "POST"}, {"path": "/apps/store"}):
        assert await store.answered(replace(ASKED, **other)) is None
    await store.forget_request(ASKED)
    assert await store.answered(ASKED) is None


async def test_the_note_that_it_was_asked_is_one_with_the_first_write(store: Store, app: App) -> None:
    """Bites: the statement executed in a transaction of its own after the first, or `due` never cleared."""
    with store.once(ASKED):
        assert await store.answered(ASKED) is None
        with pytest.raises(NotFound):
            await store.set_maintenance(new_id(), True)
        assert await store.answered(ASKED) is None  # rolled back with what it went along with
        await asyncio.create_task(store.set_maintenance(app.id, True))
        assert await store.answered(ASKED) == Answered("d" * 64)
        await store.set_maintenance(app.id, False)
    await store.keep_answer(ASKED, Answered("d" * 64, 201, "{}"))
    assert await store.answered(ASKED) == Answered("d" * 64, 201, "{}")


async def test_what_is_written_afterwards_is_not_its_own(store: Store, app: App) -> None:
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        await store.set_maintenance(app.id, True)

    with store.once(ASKED):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    go.set()
    await task
    assert await store.answered(ASKED) is None


async def test_answers_are_kept_for_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.keep_answer(ASKED, Answered("d" * 64, 200, "{}"))
    later = datetime.now().astimezone() + store_requests.KEPT
    monkeypatch.setattr(store_requests, "now", lambda: later)
    assert await store.answered(ASKED) is None
    other = replace(ASKED, number=new_id())
    await store.keep_answer(other, Answered("d" * 64, 200, "{}"))
    monkeypatch.undo()
    assert await store.answered(ASKED) is None
    assert await store.answered(other) is not None


async def test_nothing_of_an_answer_lies_there_in_the_clear(store: Store, tmp_path: Path) -> None:
    """Bites: `answer` written as JSON."""
    await store.keep_answer(ASKED, Answered("d" * 64, 200, '{"PASSWORD": "hunter2-hunter2"}'))
    with closing(sqlite3.connect(tmp_path / "store.db")) as raw:
        (sealed,) = raw.execute("SELECT answer FROM requests").fetchone()
        dump = "\n".join(raw.iterdump()).encode() + sealed
    assert b"hunter2" not in dump and b"PASSWORD" not in dump and b"d" * 64 not in dump
