"""app.json by a push, on plain processes: what its checks refuse, and what of it is not used."""

import json

import pytest

from tests.acceptance.test_process_engine import app, daemon, shell
from tests.daemon import Daemon, Shell

__all__ = ["daemon", "shell"]  # fixtures


def checked(content: str, **more: object) -> str:
    return json.dumps({"healthchecks": {"web": [{"path": "/", "content": content, "timeout": 5}]}, **more})


@pytest.mark.timeout(120)
def test_a_page_that_does_not_hold_the_text_is_refused(daemon: Daemon, shell: Shell) -> None:
    """Bites: a check that looks at the status alone lets the wrong page replace the right one."""
    shell.commit("First", {**app("first"), "app.json": checked("first v", cron=[{"command": "x"}])})
    shell.run("paas", "apps:create", "texts")
    shell.run("paas", "git:remote", "-a", "texts")
    said = shell.run("git", "push", "paasd", "main")
    assert 'app.json: "cron" is not run here yet' in said
    assert "of a health check path and content count, not 'timeout'" in said
    assert daemon.get("texts") == (200, "first v2 -")
    shell.commit("Second", app("second"))
    code, said = shell.attempt("git", "push", "paasd", "main")
    assert code != 0
    assert "its page does not hold 'first v'" in said
    assert daemon.get("texts") == (200, "first v2 -")
    shell.run("paas", "apps:destroy", "--confirm", "texts", "-a", "texts")
