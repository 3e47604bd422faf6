"""The part of the store that knows which calls were carried out, and how they were answered, for those sent again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, insert, select

from paasd.adapters.database import ALONG, Along, Database
from paasd.adapters.secrets import ConfigSeal
from paasd.adapters.store_apps import now
from paasd.adapters.tables import requests
from paasd.domain.request import Answered, Asked

KEPT = timedelta(hours=24)


class RequestTables:
    """Port Store: calls and their answers. Answers may hold config vars and tokens: all of it lies under seal."""

    _database: Database
    _seal: ConfigSeal

    @contextmanager
    def once(self, asked: Asked) -> Iterator[None]:
        """The first write in here, of whichever task that is begun in here, is one with the note that it was asked."""
        along = Along(insert(requests).values(**self._row(asked, Answered(asked.digest))))
        token = ALONG.set(along)
        try:
            yield
        finally:
            along.due = False
            ALONG.reset(token)

    async def answered(self, asked: Asked) -> Answered | None:
        """None when it was never carried out as far as a write, or longer ago than answers are kept."""
        query = select(requests.c.answer).where(_same(asked), requests.c.created_at > now() - KEPT)
        async with self._database.read() as connection:
            sealed = await connection.scalar(query)
        if sealed is None:
            return None
        found = self._seal.open(sealed, _bound_to(asked))
        digest, status, body = (found.pop(name) for name in ("digest", "status", "body"))
        return Answered(digest, int(status), body, found)

    async def keep_answer(self, asked: Asked, answer: Answered) -> None:
        """And let go of those that were kept long enough."""
        row = self._row(asked, answer)
        async with self._database.write() as connection:
            await connection.execute(delete(requests).where(requests.c.created_at <= now() - KEPT))
            await connection.execute(delete(requests).where(_same(asked)))
            await connection.execute(insert(requests).values(**row))

    async def forget_request(self, asked: Asked) -> None:
        """It failed, and may be tried again."""
        async with self._database.write(afterthought=True) as connection:
            await connection.execute(delete(requests).where(_same(asked)))

    def _row(self, asked: Asked, answered: Answered) -> dict[str, object]:
        told = {"digest": answered.digest, "status": str(answered.status), "body": answered.body}
        plain = {**answered.headers, **told}
        return {
            "account_id": asked.account_id,
            "number": asked.number,
            "method": asked.method,
            "path": asked.path,
            "answer": self._seal.seal(plain, _bound_to(asked)),
            "created_at": now(),
        }


def _same(asked: Asked) -> ColumnElement[bool]:
    of = requests.c
    return and_(
        of.account_id == asked.account_id,
        of.number == asked.number,
        of.method == asked.method,
        of.path == asked.path,
    )


def _bound_to(asked: Asked) -> str:
    return f"{asked.account_id} {asked.number} {asked.method} {asked.path}"
