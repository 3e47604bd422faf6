"""~/.netrc, beside what others keep there."""

from __future__ import annotations

import netrc as standard
from pathlib import Path

import pytest

from paasd.cli import netrc
from paasd.cli.errors import CliError
from paasd.cli.netrc import Login

HOST = "127.0.0.1:5500"
OTHERS = """# mine
machine api.example.org login me password secret
machine 127.0.0.1:55001
  login other
  password x
macdef init
  machine words

"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".netrc"


def test_kept_found_and_forgotten_beside_others(file: Path) -> None:
    file.write_text(OTHERS.rstrip("\n"))
    netrc.keep(file, HOST, Login("ann@example.org", "t0ken"))
    netrc.keep(file, HOST, Login("bob@example.org", "n3w"))
    assert netrc.find(file, HOST) == Login("bob@example.org", "n3w")
    assert netrc.find(file, "127.0.0.1:55001") == Login("other", "x")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().count(HOST + "\n") == 1
    netrc.forget(file, HOST)
    assert file.read_text().rstrip("\n") == OTHERS.rstrip("\n")
    assert netrc.find(file, HOST) is None


def test_it_is_what_others_read(file: Path) -> None:
    netrc.keep(file, HOST, Login("ann@example.org", "t0ken"))
    assert standard.netrc(str(file)).authenticators(HOST) == ("ann@example.org", "", "t0ken")


@pytest.mark.parametrize("text", [
    f"machine {HOST} login ann password p",
    f"machine {HOST}\n\tlogin ann\n\tpassword p\nmachine x login y password z\n",
    f"machine x login y password z\nmachine {HOST} password p login ann\n",
])  # fmt: skip
def test_however_it_is_written(file: Path, text: str) -> None:
    file.write_text(text)
    assert netrc.find(file, HOST) == Login("ann", "p")
    netrc.forget(file, HOST)
    assert HOST not in file.read_text()


def test_without_a_file_or_a_password(file: Path) -> None:
    assert netrc.find(file, HOST) is None
    netrc.forget(file, HOST)
    assert not file.exists()
    file.write_text(f"machine {HOST} login ann\n")
    assert netrc.find(file, HOST) is None


def test_a_link_stays_one_and_what_can_not_be_written_stays(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "real"
    target.touch()
    file.symlink_to(target)
    netrc.keep(file, HOST, Login("ann", "p"))
    assert file.is_symlink() and "ann" in target.read_text()
    file.unlink()
    file.mkdir()
    with pytest.raises(CliError, match="can't be read"):
        netrc.keep(file, HOST, Login("ann", "p"))
    assert "p4ss" not in repr(Login("ann", "p4ss"))
