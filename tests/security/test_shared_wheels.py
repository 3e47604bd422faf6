"""What keeps the cache of wheels that all apps share free of anybody's code, with the real uv: why
`paasd.builders.wheels` lets through only what it knows, and why the stack's interpreter compiles."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from paasd.builders.python_packages import CHECK, COMPILE, EXPORT, WHEELS_ONLY
from paasd.builders.wheels import plain_lock, plain_project
from tests.daemon import BIN

SETUP = "import pathlib, setuptools\npathlib.Path({mark!r}).touch()\nsetuptools.setup(name='evil', version='1')\n"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that a package's code makes when it runs."""
    return tmp_path / "it-ran"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An empty environment, with a cache of its own."""
    subprocess.run([str(BIN / "uv"), "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    cache = {"UV_CACHE_DIR": str(tmp_path / "cache"), "VIRTUAL_ENV": str(tmp_path / "venv"), "UV_SYSTEM_CERTS": "1"}
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path), **cache}


def in_shell(command: str, folder: Path, env: dict[str, str]) -> int:
    return subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True).returncode


def run(command: str, folder: Path, env: dict[str, str]) -> int:
    return subprocess.run(command.split(), cwd=folder, env=env, capture_output=True).returncode


def wheel(folder: Path, mark: Path) -> None:
    """One whose .pth runs in each interpreter that sees it."""
    with zipfile.ZipFile(folder / "evil-1-py3-none-any.whl", "w") as packed:
        packed.writestr("evil.pth", f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n")
        packed.writestr("evil.py", "x = 1\n")
        packed.writestr("evil_of_python_2.py", "print 1\n")
        packed.writestr("evil-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
        packed.writestr("evil-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr("evil-1.dist-info/RECORD", "evil.pth,,\nevil.py,,\nevil_of_python_2.py,,\n")


def test_no_code_of_a_package_runs_where_wheels_alone_are_installed(
    tmp_path: Path, mark: Path, env: dict[str, str]
) -> None:
    """Bites: `--compile-bytecode`, or an interpreter of the environment that compiles: both are tried here, too. A file
    of it that is no Python of this version is left as it is; bites: compileall's own status."""
    wheel(tmp_path, mark)
    assert run(f"{WHEELS_ONLY} ./evil-1-py3-none-any.whl", tmp_path, env) == 0
    compiles = COMPILE.replace("/opt/venv", str(tmp_path / "venv"))
    assert in_shell(compiles, tmp_path, env) == 0
    assert [*(tmp_path / "venv").rglob("evil.*.pyc")], "not compiled"
    assert not mark.exists()
    within = compiles.replace("/usr/bin/python3 -I -S", f"{tmp_path}/venv/bin/python")
    assert in_shell(within, tmp_path, env) == 0
    assert mark.exists(), "a .pth is not run any longer: COMPILE may be uv's again"


def test_no_source_is_built_where_wheels_alone_are_installed(tmp_path: Path, mark: Path, env: dict[str, str]) -> None:
    """Bites: `--no-build` left out."""
    source = tmp_path / "evil"
    source.mkdir()
    (source / "setup.py").write_text(SETUP.format(mark=str(mark)))
    assert run(f"{WHEELS_ONLY} ./evil", tmp_path, env) != 0
    assert not mark.exists()
    assert run("uv pip install ./evil", tmp_path, env) == 0
    assert mark.exists()


def test_a_file_of_requirements_can_overrule_that(tmp_path: Path, env: dict[str, str]) -> None:
    """For which reason `--no-binary` is not let through; it fails when uv has changed its mind."""
    (tmp_path / "requirements.txt").write_text("--no-binary docopt\ndocopt==0.6.2\n")
    assert run(f"{WHEELS_ONLY} -r requirements.txt", tmp_path, env) == 0


PROJECT = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
LOCK = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[[package]]\nname = "shop"\nversion = "1"\n'
BACKEND = '[build-system]\nrequires = ["setuptools", "{evil}"]\nbuild-backend = "setuptools.build_meta"\n'


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ('dependencies = []\n[project.optional-dependencies]\nx = ["{evil}"]\n', "virtual"),
        ('dependencies = []\n[dependency-groups]\nx = ["{evil}"]\n', "virtual"),
        (f'{BACKEND}[tool.poetry]\nname = "shop"\n', "editable"),
        (f'{BACKEND}[tool.poetry]\nname = "shop"\n[tool.uv]\npackage = false\n', "virtual"),
    ],
)
def test_nothing_is_built_to_see_whether_a_lock_is_stale(
    tmp_path: Path, mark: Path, env: dict[str, str], more: str, where: str
) -> None:
    """All of it passes for plain, as what is not installed does not count. Bites: `--locked` in the place of
    `--frozen`, for which uv builds what it can't compare otherwise; so does CHECK, for which it is run elsewhere."""
    source = tmp_path / "evil"
    source.mkdir()
    (source / "setup.py").write_text(SETUP.format(mark=str(mark)))
    app = tmp_path / "app"
    app.mkdir()
    (app / "pyproject.toml").write_text(PROJECT + more.format(evil=f"evil @ {source.as_uri()}"))
    (app / "uv.lock").write_text(f'{LOCK}source = {{ {where} = "." }}\n')
    assert plain_project(tomllib.loads((app / "pyproject.toml").read_text()))
    env["TMPDIR"] = str(tmp_path)
    assert in_shell(EXPORT, app, env) == 0
    assert not mark.exists()
    in_shell(CHECK, app, env)
    assert mark.exists()


def test_a_lock_can_put_lines_into_what_is_made_of_it(tmp_path: Path, env: dict[str, str]) -> None:
    """For which reason no text in it may go on in another line; it fails when uv has changed its mind."""
    (tmp_path / "pyproject.toml").write_text(f'{PROJECT}dependencies = ["idna"]\n')
    marker = "platform_machine != 'x\\n--index-url http://127.0.0.1:1\\n'"
    index = 'source = { registry = "https://index.example/simple" }\n'
    index += 'wheels = [{ url = "https://x.org/idna-3-py3-none-any.whl" }]\n'
    (tmp_path / "uv.lock").write_text(
        f'{LOCK}source = {{ virtual = "." }}\ndependencies = [{{ name = "idna", marker = "{marker}" }}]\n'
        f'[[package]]\nname = "idna"\nversion = "3"\n{index}'
    )
    assert run("uv export -q --frozen --no-emit-project -o list.txt", tmp_path, env) == 0
    assert "\n--index-url " in (tmp_path / "list.txt").read_text()
    lock, document = (tomllib.loads((tmp_path / name).read_text()) for name in ("uv.lock", "pyproject.toml"))
    assert not plain_lock(lock, document)
