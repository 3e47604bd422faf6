"""What of a directory is sent."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from paasd.cli.errors import CliError
from paasd.cli.source_files import files_of, packed, version_of

FILES = {
    ".gitignore": "*.log\n/build/\n!keep.log\n",
    "Procfile": "web: serve",
    "build/out": "made",
    "debug.log": "noise",
    "keep.log": "wanted",
    "app/.gitignore": "secret\n",
    "app/secret": "s3cret",
    "app/wörld ☃\n.py": "print()",
}
SENT = [".gitignore", "Procfile", "app/.gitignore", "app/wörld ☃\n.py", "keep.log"]


@pytest.fixture(autouse=True)
def _git_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": "/"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    for name, text in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def git(directory: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", str(directory), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_without_a_repository_gitignore_counts_all_the_same(source: Path) -> None:
    """Bites: os.walk instead."""
    assert files_of(source) == SENT
    assert not (source / ".git").exists()
    assert version_of(source) == ("", "")


def test_in_a_repository_what_is_not_committed_counts_too(source: Path) -> None:
    git(source, "init", "-q")
    git(source, "add", "Procfile", "app")
    git(source, "add", "-f", "debug.log")
    git(source, "commit", "-qm", "Sell more")
    assert files_of(source) == sorted([*SENT, "debug.log"])
    (source / "Procfile").unlink()
    assert "Procfile" not in files_of(source)
    assert files_of(source / "app") == [".gitignore", "wörld ☃\n.py"]
    commit, subject = version_of(source)
    assert (len(commit), commit[40:], subject) == (46, "-dirty", "Sell more")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "Clean")
    assert len(version_of(source)[0]) == 40


def test_repositories_within_are_sent_by_their_own_rules(source: Path) -> None:
    inner = source / "vendor" / "lib"
    inner.mkdir(parents=True)
    for name in ("code", "ignored", ".gitignore"):
        (inner / name).write_text("ignored")
    git(inner, "init", "-q")
    for step in (0, 1):
        assert [name for name in files_of(source) if "vendor" in name] == ["vendor/lib/.gitignore", "vendor/lib/code"]
        if not step:
            git(source, "init", "-q")


def test_a_package_of_them(source: Path) -> None:
    (source / "run").write_text("#!/bin/sh")
    (source / "run").chmod(0o750)
    (source / "here").symlink_to("run")
    with packed(source, ["run", "here"]) as (file, size), tarfile.open(fileobj=file) as archive:
        members = {member.name: member for member in archive.getmembers()}
        assert size == os.fstat(file.fileno()).st_size
    assert members["run"].mode & 0o777 == 0o750
    assert (members["here"].issym(), members["here"].linkname) == (True, "run")
    assert {(member.uid, member.uname) for member in members.values()} == {(0, "")}


def test_what_can_not_be_read_is_named(source: Path) -> None:
    with pytest.raises(CliError, match="nothing-here can't be packed"), packed(source, ["nothing-here"]):
        pass
