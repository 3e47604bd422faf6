"""A disk's refusals name what to do about each."""

import errno
import os

import pytest

from paasd.adapters.disk_faults import BROKEN, RIGHTS, ROOM, disk_errors, remedy_of
from paasd.domain.errors import StoreUnavailable


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, ROOM), (errno.EDQUOT, ROOM), (errno.EIO, BROKEN), (errno.EROFS, BROKEN), (errno.EACCES, RIGHTS)],
)
def test_each_refusal_has_its_remedy(number: int, remedy: str) -> None:
    with pytest.raises(StoreUnavailable) as raised, disk_errors("The output"):
        raise OSError(number, os.strerror(number))
    assert raised.value.message == f"The output can't be kept ({os.strerror(number)}): {remedy}."
    assert remedy_of(f"fatal: {os.strerror(number)}") == remedy


def test_what_is_not_known_is_left_to_the_doctor() -> None:
    with pytest.raises(StoreUnavailable, match="see `paasd doctor`"), disk_errors("The output"):
        raise OSError("odd")
    assert remedy_of("fatal: odd") == "see `paasd doctor`"


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), disk_errors("The output"):
        raise ZeroDivisionError
