"""Reading texts of strangers."""

from pathlib import Path

import pytest

from paasd.builders.source import TEXT_BYTES, read_text
from paasd.domain.errors import BuildFailed


def test_a_text_is_read_and_none_is_none(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_bytes("web: grüße".encode())
    assert read_text(tmp_path, "Procfile") == "web: grüße"
    assert read_text(tmp_path, "Dockerfile") is None


@pytest.mark.parametrize("target", ["/etc/passwd", "Procfile", "missing", "."])
def test_a_link_is_never_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "Procfile").write_text("web: serve")
    (tmp_path / "Dockerfile").symlink_to(target)
    with pytest.raises(BuildFailed, match="Dockerfile is a symbolic link; commit the file itself"):
        read_text(tmp_path, "Dockerfile")


def test_nor_is_a_linked_directory(tmp_path: Path) -> None:
    (tmp_path / "deps").symlink_to("/etc")
    with pytest.raises(BuildFailed, match="deps is a symbolic link"):
        read_text(tmp_path, "deps/passwd")


def test_what_is_no_short_utf8_text_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("web: grüße".encode("latin-1"))
    (tmp_path / "long").write_bytes(b"x" * (TEXT_BYTES + 1))
    (tmp_path / "directory").mkdir()
    for name, words in (
        ("latin", r"is not UTF-8 text \(byte 7\)"),
        ("long", "larger than 256 kB"),
        ("directory", "is a directory"),
    ):
        with pytest.raises(BuildFailed, match=words):
            read_text(tmp_path, name)
