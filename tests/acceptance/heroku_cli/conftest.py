"""A terminal with the official CLI that writes down which commands ran well and which hosts they asked for."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.heroku_cli.commands import ALIASES, COMMANDS
from tests.acceptance.shop import HELLO, Shop
from tests.daemon import Daemon, Shell, shell_for

RECORDER = Path(__file__).parent / "hosts.cjs"
OURS = re.compile(r"127\.0\.0\.1|::1|localhost|[a-z0-9-]+\.localhost")
WARNING = re.compile(r"^ ›   Warning:.*\n(?: ›   .*\n)*", re.MULTILINE)


@dataclass
class Terminal:
    """Runs the CLI in the repository of an app. `ran` are the commands that did as expected."""

    shell: Shell
    hosts: Path
    ran: set[str] = field(default_factory=set)

    def __call__(self, *command: str, code: int = 0, answer: str = "", refused: bool = False, **variables: str) -> str:
        """What it printed, without warnings; AssertionError for another exit code or a foreign host.

        `refused`: it works by saying why not.
        """
        self.hosts.write_text("")
        more = {"NODE_OPTIONS": f"--require={RECORDER}", "HOSTS_FILE": str(self.hosts), **variables}
        shell = Shell(self.shell.home, self.shell.cwd, {**self.shell.env, **more})
        ended, text = shell.attempt("heroku", *command, answer=answer)
        assert ended == code, f"heroku {' '.join(command)} ended with {ended}:\n{text}"
        foreign = {host for host in self.hosts.read_text().split() if not OURS.fullmatch(host)}
        assert foreign == set(), f"heroku {' '.join(command)} asks {foreign}"
        name = ALIASES.get(command[0], command[0])
        assert name in COMMANDS, f"{name} is not in commands.py"
        if code == 0 or refused:
            self.ran.add(name)
        return WARNING.sub("", text)

    def typed(
        self,
        *command: str,
        answers: dict[str, str],
        without: tuple[str, ...] = (),
        program: str = "heroku",
        **variables: str,
    ) -> str:
        """The CLI at a terminal of its own; each answer is typed when its question (a part of it) is there."""
        environment = {**self.shell.environment(), **variables}
        child, terminal = pty.fork()
        if child == 0:  # pragma: no cover - another program from here on
            os.chdir(self.shell.cwd)
            left = {name: value for name, value in environment.items() if name not in without}
            os.execvpe(program, [program, *command], left)
        said, asked = b"", dict(answers)
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                if select.select([terminal], [], [], 0.2)[0]:
                    try:
                        chunk = os.read(terminal, 65536)
                    except OSError:  # the other end is gone
                        break
                    said += chunk
                for question in [question for question in asked if question.encode() in said]:
                    os.write(terminal, asked.pop(question).encode())
        finally:
            os.close(terminal)
            if os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() >= deadline:
                os.kill(child, signal.SIGKILL)
        if program == "heroku":
            self.ran.add(ALIASES.get(command[0], command[0]))
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode(errors="replace"))


RAN: set[str] = set()


@pytest.fixture(scope="session")
def ran() -> set[str]:
    """The commands that did as expected, of all tests so far."""
    return RAN


@pytest.fixture(scope="module")
def shop(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A deployed app of this module's own."""
    name = request.module.__name__.rpartition(".test_")[2].replace("_", "-")
    shell = shell_for(daemon, tmp_path_factory.mktemp(name), HELLO)
    shop = Shop(daemon, shell, name).create()
    shop.deploy()
    yield shop
    shop.call("DELETE")


@pytest.fixture
def heroku(shop: Shop, tmp_path: Path, ran: set[str]) -> Terminal:
    """The CLI in the shop's repository."""
    return Terminal(shop.shell, tmp_path / "hosts", ran)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The check of what ran comes after all that runs."""
    items.sort(key=lambda item: item.name == "test_each_command_that_works_was_run")


def pytest_sessionfinish(exitstatus: int) -> None:
    """`make heroku-cli-table`: a run without a failure writes the page."""
    if os.environ.get("HEROKU_CLI_TABLE") and exitstatus == 0:
        from tests.acceptance.heroku_cli.commands import document
        from tests.daemon import ROOT

        (ROOT / "docs" / "heroku-cli.md").write_text(document())
