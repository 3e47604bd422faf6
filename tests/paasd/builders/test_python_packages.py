"""Where a Python source says what it needs. What the lines do: tests/acceptance/test_builders_python.py."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from paasd.builders.python_packages import find, installs, slug, stage
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import BOOKWORM, Packages

PROJECT = """[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = ["Flask_Login>=1", "gunicorn"]
"""
SYSTEM = '[build-system]\nrequires = ["setuptools"]\n'
LOCK = '[[package]]\nname = "flask"\nsource = {registry = "x"}\n[[package]]\nname = "shop"\nsource = {%s}\n'
INDEXED = LOCK.replace('"x"', '"https://index.example/simple"') % 'virtual = "."'
INDEXED = INDEXED.replace('simple"}\n', 'simple"}\nwheels = [{url = "x"}]\n')
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
    first, *rest = "".join(installs(found, needs)).split("RUN ")
    copied = [line for line in first.splitlines() if line.startswith("COPY")]
    names = tuple(copied[-1].split('"')[1:-2:2])
    assert (names[-1] if names else copied[-1]) == ("COPY . /app/" if before == "." else before)
    assert ("COPY . /app/" in "".join(rest)) == bool(after)
    depends_on = slug(BOOKWORM, needs, (), {}).depends_on
    assert depends_on == (None if before == "." or after else names)


def test_what_lists_a_lock_is_a_stage_that_names_nothing_of_the_app(tmp_path: Path) -> None:
    """So that all apps share it. Bites: with the app's cache mounted there, each app installs Poetry for itself."""
    lock = "# This file is automatically @generated by Poetry 2.1.3 and should not be changed by hand.\n"
    found = source(tmp_path, {"poetry.lock": lock, "pyproject.toml": ""})
    needs, _ = find(found)
    assert needs is not None
    told = stage(BOOKWORM, needs)
    assert told.startswith("FROM paasd/stack:bookworm AS tool\n")
    assert "'poetry==2.1.3' 'poetry-plugin-export'" in told
    assert "a1" not in told
    early, later = installs(found, needs)
    assert early == "" and "source=/opt/tool" in later and "/opt/tool/bin/poetry export" in later
    found_slug = slug(BOOKWORM, needs, (), {})
    assert found_slug.dependencies[1].startswith("poetry export --only main")
    assert [(tool.name, tool.stays, tool.made_with) for tool in found_slug.tools] == [
        ("poetry 2.1.3", False, ("python 3.11",))
    ]
    assert "'poetry==2.1.3' 'poetry-plugin-export'" in found_slug.tools[0].commands[1]


def test_a_lock_that_does_not_say_what_made_it_gets_versions_that_stand_here(tmp_path: Path) -> None:
    """Bites: what is shared by all apps, and made once, as whatever was newest on that day."""
    for files in ({"poetry.lock": "", "pyproject.toml": ""}, {"Pipfile.lock": PIPFILE, "Pipfile": ""}):
        needs, _ = find(source(tmp_path, files))
        (tmp_path / "poetry.lock").unlink(missing_ok=True)
        assert needs is not None and needs.tool is not None
        assert all("==" in one for one in needs.tool.packages)
    assert needs is not None and needs.tool is not None
    assert needs.tool.run.startswith("pipenv --quiet ")  # else it speaks of the environment that it is told to use


def test_a_slug_takes_wheels_that_all_share_as_long_as_nothing_has_to_be_built(tmp_path: Path) -> None:
    """Bites: the installer's commands with what lets a package's code run; the app's own after a wheel was missing."""
    needs, _ = find(source(tmp_path, {"requirements.txt": "flask==3\n"}))
    assert needs is not None
    wheels, built = (slug(BOOKWORM, needs, (), {}, packages) for packages in (Packages.WHEELS, Packages.SDISTS))
    assert (wheels.wheels, built.wheels) == (True, False)
    assert "--no-build --no-compile-bytecode" in wheels.dependencies[1]
    assert wheels.dependencies[2].startswith('"$PYTHON" -I -S ')
    assert "--compile-bytecode" in built.dependencies[1]


def test_nothing_that_was_just_installed_is_run_beside_the_shared_wheels(tmp_path: Path) -> None:
    """A wheel may bring a program called `rm`. Bites: a program after the installation that the PATH finds."""
    found = source(tmp_path, {"uv.lock": INDEXED, "pyproject.toml": PROJECT})
    needs, _ = find(found)
    assert needs is not None and needs.shared
    command = re.search(r"^ +: /var\S+ && (export PATH=\S+ && .*)$", "".join(installs(found, needs)), re.MULTILINE)
    assert command is not None
    _, after = command[1].split("uv pip install", 1)
    programs = [one.lstrip("{ ").split()[0] for one in after.split(" && ")[1:]]
    assert programs and all(one.startswith("/") for one in programs)
    recipe = slug(BOOKWORM, needs, (), {})
    _, after = recipe.dependencies[1].split("uv pip install", 1)
    assert all(one.split()[0].startswith("/") for one in after.split(" && ")[1:])
    assert recipe.dependencies[2].startswith('"$PYTHON" ')


def test_a_lock_is_compared_with_its_project_where_no_shared_wheels_are(tmp_path: Path) -> None:
    """What uv builds for that runs code. Bites: it is done in the step that has them, or before it in that image."""
    found = source(tmp_path, {"uv.lock": INDEXED, "pyproject.toml": PROJECT})
    needs, _ = find(found)
    assert needs is not None
    shared, check = installs(found, needs)
    assert "--frozen" in shared and "id=paasd-wheels," in shared
    assert "uv lock -q --check" in check and "paasd-wheels" not in check and "/a1/uv" in check
    recipe = slug(BOOKWORM, needs, (), {})
    assert recipe.wheels and [one.split(" --python")[0] for one in recipe.checks] == ["uv lock -q --check"]
    assert not any("check" in one for one in recipe.dependencies)
