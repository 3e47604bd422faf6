"""docs/heroku-cli.md says what was seen."""

import pytest

from tests.acceptance.heroku_cli.commands import COMMANDS, document
from tests.daemon import ROOT


def test_the_page_is_what_the_list_says() -> None:
    assert (ROOT / "docs" / "heroku-cli.md").read_text() == document(), "run make heroku-cli-table"


@pytest.mark.slow
@pytest.mark.heroku_cli
def test_each_command_that_works_was_run(ran: set[str], request: pytest.FixtureRequest) -> None:
    """Bites: leave any command out of the tests here."""
    collected = {item.path.name for item in request.session.items if item.path.parent == request.path.parent}
    if collected != {path.name for path in request.path.parent.glob("test_*.py")}:
        pytest.skip("only a part of these tests was run")
    assert {command.name for command in COMMANDS.values() if command.later is None} - ran == set()
