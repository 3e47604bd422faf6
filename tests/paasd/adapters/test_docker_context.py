"""What of a source goes up to the engine, and how."""

import os
import tarfile
from pathlib import Path

import pytest

from paasd.adapters.docker_context import DOCKERFILE, IN_MEMORY, pack, without_syntax


def packed(source: Path, dockerfile: str = "FROM scratch\n") -> dict[str, tarfile.TarInfo]:
    with pack(source, dockerfile) as file, tarfile.open(fileobj=file, mode="r:gz") as tar:
        return {info.name: info for info in tar.getmembers()}


def test_files_have_gits_modes_whatever_the_umask_was(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir(mode=0o700)
    (tmp_path / "lib" / "a.py").touch(mode=0o600)
    (tmp_path / "run.sh").touch(mode=0o700)
    found = packed(tmp_path)
    assert {name: info.mode for name, info in found.items()} == {
        "lib": 0o755,
        "lib/a.py": 0o644,
        "run.sh": 0o755,
        DOCKERFILE: 0o644,
    }
    assert {(info.uid, info.gid, info.uname) for info in found.values()} == {(0, 0, "")}


def test_links_stay_links_and_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "all").symlink_to("..", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")
    found = packed(tmp_path)
    assert set(found) == {"passwd", "all", DOCKERFILE}
    assert (found["passwd"].type, found["passwd"].linkname) == (tarfile.SYMTYPE, "/etc/passwd")


def test_git_and_a_file_of_our_own_name_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".gitignore").touch()
    (tmp_path / DOCKERFILE).write_text("FROM evil\n")
    found = packed(tmp_path, "FROM scratch\n")
    assert set(found) == {"sub", "sub/.gitignore", DOCKERFILE}
    assert found[DOCKERFILE].size == len("FROM scratch\n")


def test_dockerignore_is_heeded_with_its_exceptions(tmp_path: Path) -> None:
    for name in ("a.py", "a.log", "logs/x.txt", "logs/keep.txt", "deep/b.log", "node_modules/m/i.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("# ours\n**/*.log\nlogs\n!logs/keep.txt\n\nnode_modules/\n")
    assert set(packed(tmp_path)) == {".dockerignore", "a.py", "deep", "logs/keep.txt", DOCKERFILE}
    (tmp_path / ".dockerignore").write_text("*\n")
    assert set(packed(tmp_path)) == {".dockerignore", DOCKERFILE}


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin"))).touch()
    assert os.fsdecode(b"\xff.bin") in packed(tmp_path)


def test_a_big_source_goes_by_way_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(IN_MEMORY + 1))
    with pack(tmp_path, "FROM scratch\n") as file:
        assert file.fileno() > 0
        with tarfile.open(fileobj=file, mode="r:gz") as tar:
            assert tar.getnames() == ["big", DOCKERFILE]


@pytest.mark.parametrize(
    ("dockerfile", "sent"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a\n", "FROM a\n"),
        ("#Syntax = x\n# escape=`\nFROM a", "# escape=`\nFROM a"),
        ("// syntax=x\nFROM a\n", "FROM a\n"),
        ("\ufeff# syntax=x\nFROM a\n", "FROM a\n"),
        ("\ufeff\ufeff{}", "#\n{}"),
        (' {"syntax": "x"}\n', '#\n {"syntax": "x"}\n'),
        ("FROM a\nRUN echo '# syntax=no'\n", "FROM a\nRUN echo '# syntax=no'\n"),
    ],
)
def test_the_line_that_fetches_a_frontend_is_dropped(dockerfile: str, sent: str) -> None:
    assert without_syntax(dockerfile) == sent
