"""Sources that are files alone."""

from pathlib import Path

import pytest

from paasd.builders.source import Source
from paasd.builders.static import WEB, found, plan


@pytest.mark.parametrize(
    "name", ["index.html", "dist/index.html", "build/index.html", "public/index.html", "static.json"]
)
def test_by_which_file_a_source_is_one_of_files(tmp_path: Path, name: str) -> None:
    assert plan(Source(tmp_path, "a1")) is None
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    assert found(Source(tmp_path, "a1")) == name
    recipe = plan(Source(tmp_path, "a1"))
    assert recipe is not None
    assert (recipe.fallback, recipe.stack) == ({"web": WEB}, "bookworm")
    assert recipe.reasons == (f"Static files: {name} found, served on the bookworm stack",)
