"""Filesystems of this machine."""

from pathlib import Path

from paasd.adapters.disk import LocalDisks


def test_a_filesystem_is_seen_and_a_missing_one_is_not(tmp_path: Path) -> None:
    found = LocalDisks().look(str(tmp_path))
    assert found is not None
    assert 0 <= found.free <= found.total
    assert 0 <= found.used_percent <= 100
    assert LocalDisks().look(str(tmp_path / "absent")) is None
