"""How a buildpack is named."""

import pytest

from paasd.domain.buildpack import check_buildpacks
from paasd.domain.errors import InvalidParams

NAMES = (
    "heroku/python",
    "https://example.org/a.tgz",
    "https://example.org/a.git#v1",
    "ssh://git@example.org/a.git",
    "./packs/own",
)


def test_names_and_urls() -> None:
    assert check_buildpacks(NAMES) == NAMES
    assert check_buildpacks([]) == ()


@pytest.mark.parametrize(
    "wrong", ["heroku", "https://", "https://ann:secret@example.org/a", "../etc/passwd", "./a/../b", "./..", "./a b", 1]
)
def test_what_is_none(wrong: object) -> None:
    with pytest.raises(InvalidParams):
        check_buildpacks([wrong])
