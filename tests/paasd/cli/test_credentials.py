"""The quick answer to git's question: which calls it takes, and what it says."""

import io
from pathlib import Path

import pytest

from paasd.cli import credentials


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "api").write_text("http://127.0.0.1:5500\n")
    (tmp_path / "token").write_text("s3cret\n")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [[], ["apps"], ["git:credentials"], ["git:credentials", "--help"], ["git:credentials", "--home", "x"]],
)
def test_every_other_call_is_left_to_click(arguments: list[str]) -> None:
    assert credentials.quick(arguments) is None


def test_it_answers_for_its_own_api_only(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["git:credentials", "--home", str(home), "get"]
    monkeypatch.setattr("sys.stdin", io.StringIO("protocol=http\nhost=127.0.0.1:5500\n\n"))
    assert credentials.quick(arguments) == 0
    assert capsys.readouterr().out == "username=heroku\npassword=s3cret\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("protocol=https\nhost=git.example.org\n\n"))
    assert credentials.quick(arguments) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("operation", ["store", "erase"])
def test_there_is_nothing_to_keep(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("protocol=http\nhost=127.0.0.1:5500\npassword=x\n"))
    assert credentials.quick(["git:credentials", "--home", str(tmp_path), operation]) == 0
    assert capsys.readouterr().out == ""


def test_a_home_without_a_daemon_is_a_sentence_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert credentials.quick(["git:credentials", "--home", str(tmp_path), "get"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "paasd serve" in said.err
