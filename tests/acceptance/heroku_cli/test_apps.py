"""Apps, their config vars, git remotes and stacks."""

import pytest

from tests.acceptance.heroku_cli.conftest import Terminal
from tests.acceptance.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(240)]


def test_from_create_to_destroy(shop: Shop, heroku: Terminal) -> None:
    made = heroku("apps:create", "fresh", "--remote", "fresh")
    assert made.startswith("Creating fresh... done\n")
    assert f"http://fresh.localhost:{shop.daemon.router_port}/" in made
    assert "fresh (local)" in heroku("apps")
    assert "Web URL:        http://fresh.localhost" in heroku("apps:info", "-a", "fresh")
    assert "owner=owner@localhost" in heroku("apps:info", "-s", "-a", "fresh")
    assert heroku("apps:rename", "newer", "-a", "fresh").startswith("Renaming fresh to newer... done\n")
    assert "* paasd-bookworm" in heroku("apps:stacks", "-a", "newer")
    assert "Setting stack to container... done" in heroku("apps:stacks:set", "container", "-a", "newer")
    assert "Error ID: invalid_params" in heroku("apps:create", "Not_A_Name", code=2)
    assert heroku("apps:destroy", "-a", "newer", "--confirm", "newer").endswith("done\n")
    assert "Error ID: not_found" in heroku("apps:info", "-a", "newer", code=2)


def test_config(shop: Shop, heroku: Terminal) -> None:
    assert heroku("config:set", "A=1", "B=two words").splitlines()[1:] == ["A: 1", "B: two words"]
    assert heroku("config").splitlines()[2:] == ["A: 1", "B: two words"]
    assert heroku("config", "-s").splitlines() == ["A=1", "B='two words'"]
    assert heroku("config:get", "B") == "two words\n"
    assert "Unsetting B and restarting" in heroku("config:unset", "B")
    editor = shop.shell.home / "editor"
    editor.write_text('#!/bin/sh\necho 7 > "$1"\n')
    editor.chmod(0o755)
    assert "+ A=7" in heroku("config:edit", "A", answer="y\n", EDITOR=str(editor))
    assert heroku("config:get", "A") == "7\n"
    assert "Error ID: invalid_params" in heroku("config:set", "A=B\0".replace("\0", ""), "1 =x", code=2)


def test_git(shop: Shop, heroku: Terminal) -> None:
    host = f"127.0.0.1:{shop.daemon.api_port}"
    assert f"https://{host}/{shop.name}.git" in heroku("git:remote", "-a", shop.name)
    asked = f"protocol=https\nhost={host}\n\n"
    assert f"password={shop.daemon.token}" in heroku("git:credentials", "get", answer=asked)
    cloned = shop.shell.home / "clone"
    heroku("git:clone", "-a", shop.name, str(cloned))
    assert (cloned / "Procfile").exists()


def test_what_there_is_none_of(heroku: Terminal, shop: Shop) -> None:
    assert "local" in heroku("regions")
    assert heroku("addons") == f"No add-ons for app {shop.name}.\n"
    assert f"{shop.name} has no SSL certificates." in heroku("certs")
    assert f"{shop.name}.localhost" in heroku("domains")
    assert f"=== App Features {shop.name}" in heroku("features")
    heroku("drains")
    assert heroku("pipelines").strip() == "=== My Pipelines"
    assert heroku("local:version") == "3.0.1\n"
    assert "hello here" in heroku("local:run", "echo", "hello here")
    (shop.shell.cwd / "Procfile.local").write_text("web: echo served here\n")
    assert "served here" in heroku("local", "-f", "Procfile.local", "web")
