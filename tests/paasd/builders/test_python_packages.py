"""Where a Python source says what it needs. What the lines do: tests/acceptance/test_builders.py, on an engine."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from paasd.builders.python_packages import find, installs, slug
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed

PROJECT = """[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = ["Flask_Login>=1", "gunicorn"]
"""
SYSTEM = '[build-system]\nrequires = ["setuptools"]\n'
LOCK = '[[package]]\nname = "flask"\nsource = {registry = "x"}\n[[package]]\nname = "shop"\nsource = {%s}\n'
PIPFILE = json.dumps({"_meta": {"requires": {"python_version": "3.13"}}, "default": {"Flask": {"version": "==3"}}})


def source(root: Path, files: Mapping[str, str]) -> Source:
    for name, text in files.items():
        (root / name).write_text(text)
    return Source(root, "a1")


@pytest.mark.parametrize(
    ("files", "file", "packages", "requires"),
    [
        ({"uv.lock": LOCK % 'virtual = "."', "pyproject.toml": PROJECT}, "uv.lock", "flask shop", ">=3.11"),
        (
            {"requirements.txt": "-r more.txt\nDjango==5  # x\n", "more.txt": "psycopg[binary]>=3\n"},
            "requirements.txt",
            "django psycopg",
            "",
        ),
        (
            {"poetry.lock": LOCK % 'type = "x"', "pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.12"\n'},
            "poetry.lock",
            "flask shop",
            "^3.12",
        ),
        ({"Pipfile.lock": PIPFILE, "Pipfile": ""}, "Pipfile.lock", "flask", "==3.13"),
        ({"pyproject.toml": PROJECT}, "pyproject.toml", "flask-login gunicorn", ">=3.11"),
        ({"setup.py": "setup()\n"}, "setup.py", "", ""),
    ],
)
def test_each_file_is_read(tmp_path: Path, files: dict[str, str], file: str, packages: str, requires: str) -> None:
    needs, passed_over = find(source(tmp_path, files))
    assert needs is not None
    assert (needs.file, " ".join(sorted(needs.packages)), needs.requires) == (file, packages, requires)
    assert passed_over == ()


def test_the_first_counts_and_the_others_are_named(tmp_path: Path) -> None:
    files = {"uv.lock": LOCK % 'virtual = "."', "pyproject.toml": PROJECT, "requirements.txt": "", "Pipfile.lock": ""}
    needs, passed_over = find(source(tmp_path, files))
    assert needs is not None
    assert (needs.file, passed_over) == ("uv.lock", ("requirements.txt", "Pipfile.lock"))


def test_a_pyproject_of_tools_alone_is_no_python_app(tmp_path: Path) -> None:
    assert find(source(tmp_path, {"pyproject.toml": "[tool.ruff]\nline-length = 9\n"})) == (None, ())
    assert find(Source(tmp_path / "gone", "a1")) == (None, ())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"uv.lock": ""}, "uv.lock is there without the pyproject.toml"),
        ({"uv.lock": "=", "pyproject.toml": PROJECT}, "uv.lock is not valid TOML"),
        ({"pyproject.toml": "["}, "pyproject.toml is not valid TOML"),
        ({"Pipfile.lock": "[]", "Pipfile": ""}, "Pipfile.lock can't be read; make it anew"),
        ({"Pipfile.lock": PIPFILE}, "without the Pipfile"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path: Path, files: dict[str, str], words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        find(source(tmp_path, files))


@pytest.mark.parametrize(
    ("files", "before", "after"),
    [
        ({"uv.lock": LOCK % 'virtual = "."', "pyproject.toml": PROJECT}, "uv.lock", ""),
        ({"uv.lock": LOCK % 'editable = "."', "pyproject.toml": PROJECT + SYSTEM}, "uv.lock", "COPY . /app/"),
        ({"uv.lock": LOCK % 'editable = "lib"', "pyproject.toml": PROJECT}, ".", ""),
        ({"pyproject.toml": PROJECT}, "pyproject.toml", ""),
        ({"pyproject.toml": PROJECT + SYSTEM}, ".", ""),
    ],
)
def test_only_what_installs_from_the_source_gets_all_of_it(
    tmp_path: Path, files: dict[str, str], before: str, after: str
) -> None:
    """A layer that has all of the source is made anew with each changed line."""
    found = source(tmp_path, files)
    needs, _ = find(found)
    assert needs is not None
    first, *rest = installs(found, needs).split("RUN ")
    copied = [line for line in first.splitlines() if line.startswith("COPY")]
    assert copied[-1] == ("COPY . /app/" if before == "." else f'COPY ["{before}", "/app/{before}"]')
    assert ("COPY . /app/" in "".join(rest)) == bool(after)
    depends_on = slug(needs, (), {}).depends_on
    assert depends_on == (None if before == "." or after else tuple(line.split('"')[1] for line in copied))
