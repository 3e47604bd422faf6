"""Times as the tables keep them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from paasd.adapters.tables import UTCTime


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 6, 0, 0, 123457, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_comes_back_to_the_microsecond_in_utc(moment: datetime) -> None:
    kind, dialect = UTCTime(), SQLiteDialect()
    kept = kind.process_bind_param(moment, dialect)
    back = kind.process_result_value(kept, dialect)
    assert isinstance(kept, int) and back == moment and back.tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        UTCTime().process_bind_param(datetime(2026, 11, 23), SQLiteDialect())
    assert UTCTime().process_bind_param(None, SQLiteDialect()) is None
    assert UTCTime().process_result_value(None, SQLiteDialect()) is None
