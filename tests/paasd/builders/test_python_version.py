"""Which Python a source gets."""

from pathlib import Path

import pytest

from paasd.builders.python_version import Asked, asked, choose
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import BOOKWORM, Stack, Stacks

TRIXIE, FORKY = Stack("trixie", "3.13"), Stack("forky", "3.14")
BOTH = Stacks((BOOKWORM, TRIXIE))


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        (".python-version", "3.14\n", "3.14"), (".python-version", "# mine\n\n3.11.4\n3.10\n", "3.11.4"),
        (".python-version", "cpython-3.12", "3.12"), ("runtime.txt", "python-3.6.5\n", "3.6.5"),
    ],
)  # fmt: skip
def test_the_files_that_ask(tmp_path: Path, file: str, text: str, found: str) -> None:
    (tmp_path / file).write_text(text)
    assert asked(Source(tmp_path, "a1"), ">=3.9", "pyproject.toml") == Asked(found, file, exact=True)


def test_a_file_comes_before_the_project_s_range(tmp_path: Path) -> None:
    assert asked(Source(tmp_path, "a1"), "", "pyproject.toml") is None
    assert asked(Source(tmp_path, "a1"), ">=3.9", "pyproject.toml") == Asked(">=3.9", "pyproject.toml", exact=False)


@pytest.mark.parametrize(
    ("file", "text"), [(".python-version", "pypy3.10"), ("runtime.txt", "3.11"), ("runtime.txt", "ruby-3.1")]
)
def test_what_is_no_version_says_how_to_write_it(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(BuildFailed, match=rf"{file} says '{text}'; write a version such as (python-)?3\.11"):
        asked(Source(tmp_path, "a1"), "", "")


@pytest.mark.parametrize(
    ("wanted", "stacks", "name"),
    [
        (None, BOTH, "bookworm"),
        (Asked("3.13", ".python-version", True), BOTH, "trixie"),
        (Asked("3.13.2", ".python-version", True), BOTH, "trixie"),
        (Asked(">=3.9", "pyproject.toml", False), BOTH, "bookworm"),
        (Asked(">=3.12,<4", "pyproject.toml", False), BOTH, "trixie"),
        (Asked("", "", False), Stacks(()), "bookworm"),
    ],
)
def test_a_stack_that_satisfies_is_taken_without_a_word_of_warning(
    wanted: Asked | None, stacks: Stacks, name: str
) -> None:
    stack, why, warnings = choose(wanted, stacks, strict=True)
    assert (stack.name, warnings) == (name, ())
    assert f"Using Python {stack.python} of the {name} stack" in why


@pytest.mark.parametrize(
    ("text", "exact", "name"),
    [("3.12", True, "trixie"), ("3.6.5", True, "bookworm"), ("3.15", True, "trixie"), (">=3.14", False, "trixie"),
     ("<3.11", False, "bookworm"), ("==3.12.*", False, "trixie")],
)  # fmt: skip
def test_else_the_nearest_with_a_warning_or_an_error_under_strict(text: str, exact: bool, name: str) -> None:
    wanted = Asked(text, ".python-version", exact)
    stack, why, (warning,) = choose(wanted, BOTH, strict=False)
    assert stack.name == name
    assert "the nearest" in why
    there = "the stacks here have 3.11 (bookworm), 3.13 (trixie)"
    assert warning.startswith(f".python-version asks for Python {text}, and {there}")
    with pytest.raises(BuildFailed, match=r"3\.13 \(trixie\); ask for one of those"):
        choose(wanted, BOTH, strict=True)


def test_a_machine_without_images_has_no_stack_to_be_added() -> None:
    """Bites: "have the operator add a stack", where there can be none."""
    here, wanted = Stacks((Stack("machine", "3.11"),)), Asked("3.9.18", "runtime.txt", True)
    assert choose(wanted, here, strict=False)[2] == (
        "runtime.txt asks for Python 3.9.18, and this machine has 3.11: 3.11 is used.",
    )
    with pytest.raises(
        BuildFailed, match=r"and this machine has 3\.11; ask for that, or push to a paasd with --engine"
    ):
        choose(wanted, here, strict=True)
