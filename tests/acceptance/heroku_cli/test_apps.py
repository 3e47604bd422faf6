"""Apps, their config vars, git remotes and stacks."""

import subprocess

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
    assert "is disabled on" in heroku("certs:auto")
    assert f"{shop.name}.localhost" in heroku("domains")
    assert f"=== App Features {shop.name}" in heroku("features")
    heroku("drains")
    assert heroku("pipelines").strip() == "=== My Pipelines"
    assert heroku("local:version") == "3.0.1\n"
    assert "hello here" in heroku("local:run", "echo", "hello here")
    (shop.shell.cwd / "Procfile.local").write_text("web: echo served here\n")
    assert "served here" in heroku("local", "-f", "Procfile.local", "web")


def test_what_is_not_built_says_so_and_changes_nothing(heroku: Terminal, shop: Shop) -> None:
    """One sentence that says what to do instead, where the CLI asks us at all."""
    certificate, key = shop.shell.home / "c.pem", shop.shell.home / "k.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=www.example.org"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *request, *files], check=True, capture_output=True)
    pair = (str(certificate), str(key))

    def said(*command: str, code: int = 2) -> str:
        return " ".join(heroku(*command, code=code).replace("›", "").split())

    assert "let a proxy in front end TLS. Error ID: invalid_params" in said("certs:add", *pair)
    for command in (("certs:auto:enable",), ("certs:auto:disable", "--confirm", shop.name), ("certs:auto:refresh",)):
        assert "Automatic certificates are for names under the platform's own domain" in said(*command)
    for command in (("certs:info",), ("certs:remove", "--confirm", shop.name)):
        assert "has no SSL certificates" in said(*command, code=1)
    assert "has no SSL certificates" in said("certs:update", *pair, "--confirm", shop.name, code=1)
    heroku("domains:add", "www.example.org")
    assert "no certificates to choose from" in said("domains:update", "www.example.org", "--cert", "c")
    heroku("domains:clear")
    assert "push the same commit to each app" in said("pipelines:create", "p", "-s", "staging")
    for line in ("pipelines:promote", "pipelines:remove", "pipelines:update -s staging"):
        assert "This app is in no pipeline; there are none here." in said(*line.split())
    for line in ("pipelines:info p", "pipelines:rename p q", "pipelines:add p -s staging", "pipelines:destroy p"):
        assert "Pipeline not found" in said(*line.split(), code=1)
