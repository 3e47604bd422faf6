"""requirements.txt: the dependency layer depends on what the installation reads, and on nothing else."""

from pathlib import Path

import pytest

from paasd.builders import python
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import Packages

EVERYTHING = ["COPY . /app/"]


def plan(root: Path, app_id: str = "a1") -> Recipe | None:
    return python.plan(Source(root, app_id))


def copies(source: Path, **files: str) -> list[str]:
    """The COPY lines before the installation."""
    for name, text in files.items():
        path = source / name.replace("__", "/").replace("_txt", ".txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    recipe = plan(source, "a1")
    assert recipe is not None
    found, classic = (
        [line for line in (text or "").splitlines() if line.startswith("COPY ") and "--" not in line]
        for text in (recipe.dockerfile, recipe.dockerfile_classic)
    )
    assert found == classic
    return found


def test_the_app_is_copied_after_its_dependencies_are_installed(tmp_path: Path) -> None:
    assert copies(tmp_path, requirements_txt="flask==3\n") == ['COPY ["requirements.txt", "/app/"]']
    recipe = plan(tmp_path, "a1")
    assert recipe is not None
    for text in (recipe.dockerfile, recipe.dockerfile_classic or ""):
        assert text.startswith("FROM paasd/stack:bookworm\n")
        assert text.index("install") < text.index("COPY --chown=app:app . /app")
        assert text.endswith("USER app\n")
    assert "--mount" not in (recipe.dockerfile_classic or "")


def test_no_requirements_no_python(tmp_path: Path) -> None:
    assert plan(tmp_path, "a1") is None


def test_included_files_are_copied_each_once_though_they_include_each_other(tmp_path: Path) -> None:
    assert copies(
        tmp_path,
        requirements_txt="-r base.txt\n--requirement=deps/more.txt\n-c https://example.org/c.txt\nflask\n",
        base_txt="-r requirements.txt\n--constraint limits.txt\n",
        limits_txt="flask<4\n",
        deps__more_txt="-r inner.txt\n",
        deps__inner_txt="gunicorn\n",
    ) == [
        'COPY ["requirements.txt", "base.txt", "limits.txt", "/app/"]',
        'COPY ["deps/more.txt", "deps/inner.txt", "/app/deps/"]',
    ]


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable .",
        ".",
        "./lib",
        "file:lib",
        "shop @ file:///app/lib",
        "/app/lib",
        "vendor/lib",
        "lib-1.0-py3-none-any.whl",
        "lib-1.0.tgz",
        "lib-1.0.tar.bz2",
        "--find-links wheels",
        "-r ../up.txt",
        "-r /etc/x",
    ],
)
def test_an_installation_from_the_source_itself_gets_all_of_it(tmp_path: Path, line: str) -> None:
    assert copies(tmp_path, requirements_txt=f"flask\n{line}\n") == EVERYTHING


@pytest.mark.parametrize(
    "line",
    [
        "# ./lib",
        "flask  # see a/b",
        "-f https://example.org/wheels/",
        "a @ https://example.org/a.whl",
        "git+https://x/y",
    ],
)
def test_an_installation_from_elsewhere_does_not(tmp_path: Path, line: str) -> None:
    assert copies(tmp_path, requirements_txt=f"flask\n{line}\n") != EVERYTHING


def test_so_does_one_whose_included_file_does(tmp_path: Path) -> None:
    assert copies(tmp_path, requirements_txt="-r base.txt\n", base_txt="-e .\n") == EVERYTHING


def test_a_comment_is_no_include(tmp_path: Path) -> None:
    assert len(copies(tmp_path, requirements_txt="# -r gone.txt\nflask  # -e .\n")) == 1


def test_an_included_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"base\.txt includes 'gone\.txt', which is not in the repository; commit it"):
        copies(tmp_path, requirements_txt="-r base.txt\n", base_txt="-r gone.txt\n")


def test_odd_file_names_stay_one_argument(tmp_path: Path) -> None:
    (tmp_path / 'a"b.txt').write_text("flask\n")
    assert copies(tmp_path, requirements_txt='-r a"b.txt\n') == ['COPY ["requirements.txt", "a\\"b.txt", "/app/"]']


def test_requirements_that_are_not_utf8_say_so(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xff\xfef\x00l\x00")
    with pytest.raises(BuildFailed, match=r"requirements\.txt is not UTF-8 text"):
        plan(tmp_path, "a1")


OWN = "--mount=type=cache,id=paasd-uv-%s,target=/var/cache/paasd/%s/uv,sharing=shared"
SHARED = "--mount=type=cache,id=paasd-wheels,target=/var/cache/paasd/wheels,sharing=shared"


def recipe(root: Path, app_id: str, packages: Packages = Packages.WHEELS, secrets: tuple[str, ...] = ()) -> str:
    found = python.plan(Source(root, app_id, packages=packages, secrets=secrets))
    assert found is not None
    return found.dockerfile


def test_wheels_are_shared_by_all_apps_and_what_is_built_is_an_apps_own(tmp_path: Path) -> None:
    """Bites: the shared cache mounted where packages are built, where config vars are, or where an option may be."""
    (tmp_path / "requirements.txt").write_text("flask\n")
    for app_id in ("a1", "b2"):
        wheels = recipe(tmp_path, app_id)
        assert SHARED in wheels
        assert "paasd-uv" not in wheels
        assert "--no-config --no-build --no-compile-bytecode -r requirements.txt" in wheels
        built = recipe(tmp_path, app_id, Packages.SDISTS)
        assert OWN % (app_id, app_id) in built
        assert "paasd-wheels" not in built
        assert "paasd-wheels" not in recipe(tmp_path, app_id, Packages.COMPILERS)
        assert "paasd-wheels" not in recipe(tmp_path, app_id, secrets=("LD_PRELOAD",))
    (tmp_path / "requirements.txt").write_text("--no-binary flask\nflask\n")
    assert "paasd-wheels" not in recipe(tmp_path, "a1")
    (tmp_path / "requirements.txt").write_text("-r more.txt\n")
    (tmp_path / "more.txt").write_text("--no-binary flask\nflask\n")
    assert "paasd-wheels" not in recipe(tmp_path, "a1")


def test_the_project_itself_is_installed_out_of_its_own_cache(tmp_path: Path) -> None:
    project = '[project]\nname = "shop"\nversion = "1"\n[build-system]\nrequires = ["setuptools"]\n'
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "shop"\nsource = {editable = "."}\n')
    shared, own = recipe(tmp_path, "a1").split("COPY . /app/\n", 1)
    assert SHARED in shared and "uv export" in shared
    assert "ARG UV_CACHE_DIR=/var/cache/paasd/a1/uv\n" in shared + own
    assert OWN % ("a1", "a1") in own and "uv sync" in own and "paasd-wheels" not in own
