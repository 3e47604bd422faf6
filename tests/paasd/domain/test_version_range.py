"""Ranges as pyproject.toml and package.json write them."""

import pytest

from paasd.domain.version_range import satisfies


@pytest.mark.parametrize(
    ("range_", "fits"),
    [
        (">=3.10", "3.11 3.13"), (">=3.12", "3.13"), (">=3.11,<3.13", "3.11"), (">3.11", "3.13"), ("<3.13", "3.11"),
        (">=3.11.5,<4", "3.11 3.13"), ("==3.13.*", "3.13"), ("==3.11", "3.11"), ("~=3.11", "3.11 3.13"),
        ("~=3.13.0", "3.13"), ("!=3.11.*", "3.13"), ("!=3.11.1", "3.11 3.13"), ("^3.12", "3.13"), ("*", "3.11 3.13"),
        ("<=3.11", "3.11"), (">3.11.2,<3.12", "3.11"), ("<3.11.5", "3.11"), ("", "3.11 3.13"), ("latest", "3.11 3.13"),
    ],
)  # fmt: skip
def test_ranges_of_python(range_: str, fits: str) -> None:
    assert [text for text in ("3.11", "3.13") if satisfies(tuple(map(int, text.split("."))), range_)] == fits.split()


@pytest.mark.parametrize(
    ("range_", "fits"),
    [
        ("24.x", "24"), ("24", "24"), (">=20", "20 22 24"), ("^20.1.0", "20"), ("~22.3", "22"), ("18 || 20", "20"),
        (">= 20 < 24", "20 22"), ("20 - 22", "20 22"), ("^18.0.0 || >=22.0.0", "22 24"), ("*", "20 22 24"),
        ("4.2.x", ""), ("lts/*", "20 22 24"), ("v22.20.0", "22"), ("<24", "20 22"), (">22", "24"),
        (">22.9", "22 24"),
    ],
)  # fmt: skip
def test_ranges_of_node(range_: str, fits: str) -> None:
    """Some release of the major version is enough."""
    assert [text for text in ("20", "22", "24") if satisfies((int(text),), range_)] == fits.split()
