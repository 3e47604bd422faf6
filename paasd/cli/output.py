"""How things are shown: Heroku's headers, tables and fields. Colour and cutting on a terminal only."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from paasd.cli.settings import colors_wanted
from paasd.cli.text import printable

APP = "magenta"
GOOD = "green"
BAD = "bold red"
BUSY = "yellow"
DIM = "bright_black"
NAME = "cyan"
LINK = "cyan underline"

_AGES = ((60, 1, "s"), (60 * 60, 60, "m"), (60 * 60 * 25, 60 * 60, "h"))
NARROWEST = 20


@dataclass(frozen=True)
class Styled:
    """A text and its look on a terminal: a style of rich."""

    text: str
    style: str = ""


Cell = str | Styled | Sequence["str | Styled"]


def header(*cells: str | Styled) -> None:
    """`=== shop Releases - Current: v2` and an empty line."""
    write([Styled("=== ", DIM), *cells])
    click.echo()


def write(cell: Cell) -> None:
    """One line; control characters are made visible or dropped."""
    pieces = _pieces(cell)
    if not on_terminal():
        click.echo("".join(clean(piece.text) for piece in pieces))
        return
    _console().print(_rich(pieces), soft_wrap=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], *, flexible: int) -> None:
    """Columns under headings; on a terminal the column numbered `flexible` gives way when the line is too long."""
    texts = [[clean("".join(piece.text for piece in _pieces(cell))) for cell in row] for row in rows]
    if not on_terminal():
        _plain_table([list(headings), *texts])
        return
    from rich.cells import cell_len
    from rich.table import Table

    others = sum(
        max(cell_len(row[i]) for row in [list(headings), *texts]) + 2 for i in range(len(headings)) if i != flexible
    )
    room = max(NARROWEST, shutil.get_terminal_size().columns - others)
    shape = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, heading in enumerate(headings):
        shape.add_column(heading, no_wrap=True, overflow="ellipsis", max_width=room if index == flexible else None)
    for row in rows:
        shape.add_row(
            *(_rich(_fitted(cell, room) if index == flexible else _pieces(cell)) for index, cell in enumerate(row))
        )
    _console(width=others + room).print(shape, crop=False)


def fields(pairs: Sequence[tuple[str, Cell | None]], *, indent: int = 0) -> None:
    """`Name:    value`, values aligned; those that are None are left out. A list value takes a line for each item."""
    shown = [(name, value) for name, value in pairs if value is not None]
    width = max((len(clean(name)) for name, _ in shown), default=0) + 2
    for name, value in shown:
        write([" " * indent, Styled(f"{clean(name)}:".ljust(width), NAME), *_pieces(value)])


def print_json(value: object) -> None:
    """Indented JSON; characters that steer a terminal are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(re.sub(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]", lambda m: f"\\u{ord(m[0]):04x}", text))


class Step:
    """The one line of an action under way; `done` says how it ended, in a word or two."""

    def __init__(self) -> None:
        self.ended = False

    def done(self, words: str = "done") -> None:
        if not self.ended:
            self.ended = True
            click.echo(clean(words), err=True)


@contextmanager
def action(*words: str | Styled) -> Iterator[Step]:
    """`Creating shop... done` on stderr, as Heroku prints it; `!` in place of `done` if it fails."""
    line = "".join(_ansi(piece) for piece in _pieces(words))
    click.echo(f"{line}... ", err=True, nl=False)
    step = Step()
    try:
        yield step
    except BaseException:
        step.done("!")
        raise
    step.done()


@contextmanager
def progress(word: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr's terminal for something of `total` bytes, else one line; called with how many more are done."""
    if not sys.stderr.isatty():
        with action(word, " ", size(total)):
            yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not colors_wanted())
    with Progress(TextColumn(word), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(word, total=total)
        yield lambda count: bar.advance(task, count)


def app_name(name: str) -> Styled:
    """An app's name in its colour, with Heroku's hexagon where people read."""
    return Styled(f"⬢ {name}" if on_terminal() else name, APP)


def on_terminal() -> bool:
    """Whether stdout is read by a person."""
    return sys.stdout.isatty()


def clean(text: str) -> str:
    """Without the characters that would steer a terminal or break a table's line: tabs and line ends become a space."""
    return printable(re.sub(r"[\t\r\n]", " ", text))


def ago(when: str | None) -> str:
    """`2026/11/23 06:00:00 +0000 (~ 5m ago)` from an ISO time, in local time; the age only within 25 hours."""
    if not when:
        return ""
    moment = datetime.fromisoformat(when)
    message = moment.astimezone().strftime("%Y/%m/%d %H:%M:%S %z")
    elapsed = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for limit, unit, letter in _AGES:
        if elapsed < limit:
            return f"{message} (~ {elapsed // unit}{letter} ago)"
    return message


def size(count: int | None) -> str:
    """Bytes in Heroku's words: `5 MB`."""
    amount = float(count or 0)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            return f"{amount:.0f} {unit}"
        amount /= 1024
    raise AssertionError("the last unit takes every amount")


def pairs_of(values: Mapping[str, Any]) -> list[tuple[str, Cell | None]]:
    """A mapping's entries in the order of their names, for `fields`."""
    return [(name, str(values[name])) for name in sorted(values)]


def _pieces(cell: Cell) -> list[Styled]:
    if isinstance(cell, str):
        return [Styled(cell)]
    if isinstance(cell, Styled):
        return [cell]
    return [Styled(piece) if isinstance(piece, str) else piece for piece in cell]


def _fitted(cell: Cell, room: int) -> list[Styled]:
    """The cell with its first piece cut so that the rest, such as a status, is seen whole."""
    from rich.cells import cell_len, set_cell_size

    first, *rest = _pieces(cell)
    left = max(NARROWEST // 2, room - sum(cell_len(clean(piece.text)) for piece in rest))
    text = clean(first.text)
    if cell_len(text) > left:
        text = set_cell_size(text, left - 1).rstrip() + "…"
    return [Styled(text, first.style), *rest]


def _plain_table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _rich(pieces: Sequence[Styled]) -> Any:
    from rich.text import Text

    return Text.assemble(*((clean(piece.text), piece.style) for piece in pieces))


def _console(width: int | None = None) -> Any:
    from rich.console import Console

    return Console(width=width, highlight=False, emoji=False, markup=False, no_color=not colors_wanted())


def _ansi(piece: Styled) -> str:
    """For stderr's one-liners, where rich would cost more than the whole command."""
    text = clean(piece.text)
    if not piece.style or not sys.stderr.isatty() or not colors_wanted():
        return text
    words = piece.style.split()
    return click.style(text, fg=words[-1], bold="bold" in words)
