"""A source with a Dockerfile of its own."""

from pathlib import Path

import pytest

from paasd.builders.dockerfile import plan
from paasd.domain.errors import BuildFailed


def test_its_text_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM x\r\nCMD ["a"]\n', newline="")
    recipe = plan(tmp_path, "a1")
    assert recipe is not None
    assert recipe.dockerfile == 'FROM x\r\nCMD ["a"]\n'
    assert (recipe.stack, recipe.dockerfile_classic) == (None, None)


def test_none_is_no_error_and_an_empty_one_is(tmp_path: Path) -> None:
    assert plan(tmp_path, "a1") is None
    (tmp_path / "Dockerfile").write_text(" \n")
    with pytest.raises(BuildFailed, match="The Dockerfile is empty"):
        plan(tmp_path, "a1")
