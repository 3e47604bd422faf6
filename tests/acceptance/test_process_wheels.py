"""On `--engine process`: wheels are fetched once for all apps; what has to be built is an app's own."""

import os

import pytest

from tests.acceptance.test_process_engine import daemon, shell
from tests.daemon import Daemon, Shell

__all__ = ["daemon", "shell"]  # fixtures

pytestmark = pytest.mark.timeout(240)
SERVE = {"Procfile": "web: python -m http.server $PORT\n"}


def pushed(shell: Shell, name: str, requirements: str, **more: str) -> str:
    if shell.attempt("paas", "apps:info", "-a", name)[0] != 0:
        shell.run("paas", "apps:create", name)
    shell.run("paas", "git:remote", "-a", name)
    shell.commit(name, {**SERVE, "requirements.txt": requirements, **more})
    return shell.run("git", "push", "paasd", "HEAD:main")


def test_wheels_are_fetched_once_and_sources_are_built_with_a_cache_of_the_apps_own(
    daemon: Daemon, shell: Shell
) -> None:
    """Bites: a cache for each app, of which the second one's is empty; the ledger's word left unread, so that each
    push tries wheels first."""
    assert "Prepared 2 packages" in pushed(shell, "wheels-one", "idna==3.10\nsniffio==1.3.1\n")
    said = pushed(shell, "wheels-two", "idna==3.10\nsniffio==1.3.1  # from anyio\n")
    assert "Installed 2 packages" in said
    assert ("Prepared" in said) is (os.geteuid() != 0), said
    assert daemon.get("wheels-two", "/requirements.txt") == (200, "idna==3.10\nsniffio==1.3.1  # from anyio\n")
    said = pushed(shell, "sdist-app", "docopt==0.6.2\n")
    assert "-----> A package has no wheel: building again, from its source" in said
    assert "Built docopt==0.6.2" in said
    assert "building again" not in pushed(shell, "sdist-app", "docopt==0.6.2\nidna\n")
