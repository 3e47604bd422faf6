"""app.json and heroku.yml by a push, on plain processes: what checks refuse, what is set up, and what is not used."""

import json

import pytest

from tests.acceptance.test_process_engine import app, daemon, shell
from tests.daemon import Daemon, Shell

__all__ = ["daemon", "shell"]  # fixtures


def checked(content: str, **more: object) -> str:
    return json.dumps({"healthchecks": {"web": [{"path": "/", "content": content, "timeout": 5, "port": 1}]}, **more})


@pytest.mark.timeout(120)
def test_a_page_that_does_not_hold_the_text_is_refused(daemon: Daemon, shell: Shell) -> None:
    """Bites: a check that looks at the status alone lets the wrong page replace the right one."""
    shell.commit("First", {**app("first"), "app.json": checked("first v", cron=[{"command": "x"}])})
    shell.run("paas", "apps:create", "texts")
    shell.run("paas", "git:remote", "-a", "texts")
    said = shell.run("git", "push", "paasd", "main")
    assert 'app.json: "cron" is not run here yet' in said
    assert "of the health checks, not used here: 'port' of 'web'" in said
    assert daemon.get("texts") == (200, "first v2 -")
    shell.commit("Second", app("second"))
    code, said = shell.attempt("git", "push", "paasd", "main")
    assert code != 0
    assert "its page does not hold 'first v'" in said
    assert daemon.get("texts") == (200, "first v2 -")
    shell.run("paas", "apps:destroy", "--confirm", "texts", "-a", "texts")


@pytest.mark.timeout(120)
def test_sizes_and_the_pace_of_checks_and_heroku_yml_s_setup(daemon: Daemon, shell: Shell) -> None:
    """Bites: each of them read, and lost on the way through the ledger (`processes_json` without it)."""
    checks = {"web": [{"path": "/", "content": "paced v", "attempts": 2, "wait": 0}]}
    files = {
        **app("paced"),
        "app.json": json.dumps({"formation": {"web": {"size": "standard-2x"}}, "healthchecks": checks}),
        "heroku.yml": "setup:\n  config:\n    STARTED: 007\n  pipelines: x\n",
    }
    shell.commit("First", files)
    shell.run("paas", "apps:create", "paced")
    shell.run("paas", "git:remote", "-a", "paced")
    said = shell.run("git", "push", "paasd", "main")
    assert "heroku.yml: 'setup.pipelines' is not known, and not used." in said
    assert "Setting config vars by heroku.yml: STARTED" in said
    assert daemon.call("GET", "/apps/paced/config-vars")[1]["STARTED"] == "007"
    assert [one["size"] for one in daemon.call("GET", "/apps/paced/dynos")[1]] == ["Standard-2X"]
    shell.run("paas", "config:unset", "STARTED", "-a", "paced")
    shell.commit("Second", app("other"))
    code, said = shell.attempt("git", "push", "paasd", "main")
    assert code != 0
    assert "s (2 attempts): its page does not hold 'paced v'" in said
    assert "by heroku.yml" not in said
    shell.run("paas", "apps:destroy", "--confirm", "paced", "-a", "paced")
