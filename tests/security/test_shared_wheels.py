"""What keeps the cache of wheels that all apps share free of anybody's code, with the real uv: why
`paasd.builders.wheels` lets through only what it knows, and why the stack's interpreter compiles."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from paasd.builders.python_packages import COMPILE, WHEELS_ONLY
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


def run(command: str, folder: Path, env: dict[str, str]) -> int:
    return subprocess.run(command.split(), cwd=folder, env=env, capture_output=True).returncode


def wheel(folder: Path, mark: Path) -> None:
    """One whose .pth runs in each interpreter that sees it."""
    with zipfile.ZipFile(folder / "evil-1-py3-none-any.whl", "w") as packed:
        packed.writestr("evil.pth", f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n")
        packed.writestr("evil.py", "x = 1\n")
        packed.writestr("evil-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
        packed.writestr("evil-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr("evil-1.dist-info/RECORD", "evil.pth,,\nevil.py,,\n")


def test_no_code_of_a_package_runs_where_wheels_alone_are_installed(
    tmp_path: Path, mark: Path, env: dict[str, str]
) -> None:
    """Bites: `--compile-bytecode`, or an interpreter of the environment that compiles: both are tried here, too."""
    wheel(tmp_path, mark)
    assert run(f"{WHEELS_ONLY} ./evil-1-py3-none-any.whl", tmp_path, env) == 0
    compiles = COMPILE.replace("/opt/venv", str(tmp_path / "venv"))
    assert run(compiles, tmp_path, env) == 0
    assert [*(tmp_path / "venv").rglob("evil.*.pyc")], "not compiled"
    assert not mark.exists()
    within = compiles.replace("/usr/bin/python3 -I -S", f"{tmp_path}/venv/bin/python")
    assert run(within, tmp_path, env) == 0
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
