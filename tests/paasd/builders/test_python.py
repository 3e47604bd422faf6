"""A Python source from its files to its recipe."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from paasd.builders.python import plan
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import BOOKWORM, Stack, Stacks


def recipe(root: Path, files: Mapping[str, str], *, strict: bool = False, stacks: Stacks | None = None) -> Recipe:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = plan(Source(root, "a1", stacks=stacks or Stacks(), strict=strict))
    assert found is not None
    return found


def test_a_django_project_is_served_and_its_static_files_collected(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "django\ngunicorn\n",
        "manage.py": "",
        "shop/wsgi.py": "",
        "shop/settings.py": "STATIC_ROOT = 1\n",
    }
    found = recipe(tmp_path, files)
    assert found.fallback == {"web": "gunicorn shop.wsgi --bind 0.0.0.0:$PORT"}
    assert found.fallback_reason == "No Procfile: Django project shop, served by gunicorn"
    for text in (found.dockerfile, found.dockerfile_classic or ""):
        assert text.endswith("USER app\nRUN python manage.py collectstatic --noinput\n")
    assert found.reasons == (
        "Python app: requirements.txt found, building on the bookworm stack",
        "Using Python 3.11 of the bookworm stack, as the source asks for none",
        "Django's static files are collected (DISABLE_COLLECTSTATIC=1 skips that)",
    )


def test_the_stack_is_the_one_that_has_the_python(tmp_path: Path) -> None:
    stacks = Stacks((BOOKWORM, Stack("trixie", "3.13", "20261126")))
    found = recipe(tmp_path, {"requirements.txt": "", ".python-version": "3.13\n"}, stacks=stacks)
    assert found.dockerfile.startswith("FROM paasd/stack:trixie\n")
    assert (found.stack, found.warnings) == ("trixie-20261126", ())


def test_a_python_that_no_stack_has_is_a_warning_or_under_strict_an_error(tmp_path: Path) -> None:
    files = {"requirements.txt": "", "runtime.txt": "python-3.6.5"}
    (warning,) = recipe(tmp_path, files).warnings
    assert warning == "runtime.txt asks for Python 3.6.5, and the stacks here have 3.11 (bookworm): 3.11 is used."
    with pytest.raises(BuildFailed, match="ask for that, or have the operator add a stack"):
        recipe(tmp_path, {}, strict=True)


def test_a_procfile_that_runs_python_is_enough(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"Procfile": "web: python3 web.py\n", "web.py": ""})
    assert "nothing is to be installed" in found.reasons[0]
    assert "RUN" not in found.dockerfile
    assert "/opt/venv" not in found.dockerfile


def test_files_without_a_procfile_that_runs_them_are_not(tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text("")
    assert plan(Source(tmp_path, "a1")) is None
    (tmp_path / "Procfile").write_text("web: ./server\n")
    assert plan(Source(tmp_path, "a1")) is None
