"""How things are shown in a pipe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from paasd.cli import output
from paasd.cli.output import Styled


def test_a_table_is_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(
        ("A", "Long"), [["x\ty\nz\x1b]0;t\x07", [Styled("bold", "bold"), " text " * 40]], ["1", "2"]], flexible=1
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A      Long"
    assert lines[1].startswith("x y z  bold text")
    assert lines[1].count("text") == 40
    assert lines[2] == "1      2"


def test_an_action_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), output.action("Dividing ", Styled("x", "cyan")):
        raise ZeroDivisionError
    assert capsys.readouterr().err == "Dividing x... !\n"


@pytest.mark.parametrize(
    ("seconds", "age"), [(5, "(~ 5s ago)"), (125, "(~ 2m ago)"), (7300, "(~ 2h ago)"), (90000, "")]
)
def test_ages_in_heroku_s_words(seconds: int, age: str) -> None:
    when = datetime.now(UTC) - timedelta(seconds=seconds)
    assert output.ago(when.strftime("%Y-%m-%dT%H:%M:%SZ")).partition(" (~")[2] == age.removeprefix("(~")


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (None, "0 B"), (1536, "2 KB"), (5 << 20, "5 MB"), (3 << 40, "3072 GB")]
)
def test_sizes(count: int | None, words: str) -> None:
    assert output.size(count) == words


def test_json_escapes_what_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"é": "\x1b\x9b\u202e"})
    assert capsys.readouterr().out == '{\n  "é": "\\u001b\\u009b\\u202e"\n}\n'
