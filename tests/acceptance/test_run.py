"""`heroku run` in each of its ways, with the official CLI against real containers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.shop import HELLO, Shop
from tests.daemon import Daemon, Shell, wait_until

User = Callable[[Path | None], Shell]


@pytest.mark.docker
@pytest.mark.heroku_cli
@pytest.mark.timeout(180)
def test_a_command_in_a_dyno_of_its_own_and_inside_another(daemon: Daemon, user: User) -> None:
    """Bites: close the line at once when the process has ended, and the CLI fails; glue the output to the greeting,
    and it is lost."""
    shell = user(HELLO)
    shop = Shop(daemon, shell, "runner").create()
    shop.deploy()
    assert (
        shell.run("heroku", "run", "--no-tty", "--", 'echo "hello from $DYNO"')
        .splitlines()[-1]
        .startswith("hello from run.")
    )
    code, said = shell.attempt("heroku", "run", "--no-tty", "-x", "--", "exit 3")
    assert (code, "exited with code 3" in said) == (3, True)
    assert shell.run("heroku", "run", "--no-tty", "-x", "--", "echo whole; true").splitlines()[-1] == "whole"
    assert "inside web.1" in shell.run("heroku", "run:inside", "web.1", "echo inside $DYNO")
    detached = shell.run("heroku", "run:detached", "--", "echo on its own")
    assert "run." in detached
    wait_until(lambda: "on its own" in shell.run("paas", "logs", "-n", "200"), 30, "its line did not reach the log")
    wait_until(lambda: [name for name in shop.containers() if ".run." in name] == [], 30, "a one-off dyno stayed")
    assert shop.served() == "v2"
    shell.run("heroku", "apps:destroy", "--confirm", "runner")
