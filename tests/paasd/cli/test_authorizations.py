"""`authorizations*`, `sessions*`, `keys*` and `auth:token`, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .conftest import Run
from .wire import TOKEN, Wire

WHERE = "/oauth/authorizations"


def authorization(name: str = "ci", secret: str = "**********", expires: int | None = 7200) -> dict[str, Any]:
    return {
        "id": f"id-{name}", "description": name, "scope": ["read"], "updated_at": "2026-11-23T06:00:00Z",
        "access_token": {"token": secret, "expires_in": expires},
    }  # fmt: skip


def test_listed_without_secrets(paas: Run, wire: Wire) -> None:
    wire.reply("GET", WHERE, [authorization("laptop", TOKEN, None), authorization(expires=0)])
    shown = paas("authorizations").stdout
    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["ci", "id-ci", "read", "expired"],
        ["laptop", "id-laptop", "read", "never"],
    ]
    assert TOKEN not in shown


def test_made_shown_and_ended(paas: Run, wire: Wire) -> None:
    wire.reply("POST", WHERE, authorization(secret="s3cret"), status=201)
    wire.reply("GET", f"{WHERE}/id-ci", authorization())
    wire.reply("PATCH", f"{WHERE}/id-ci", authorization("laptop"))
    wire.reply("POST", f"{WHERE}/id-ci/actions/regenerate-tokens", authorization(secret="n3w"))
    wire.reply("DELETE", f"{WHERE}/id-ci", authorization())
    made = paas("authorizations:create", "-d", "ci", "-s", "read, write", "-e", "7200")
    assert "s3cret" in made.stdout and "in 2h" in made.stdout
    assert wire.asked("POST", WHERE)[0].body == {"description": "ci", "expires_in": 7200, "scope": ["read", "write"]}
    assert paas("authorizations:create", "--short").stdout == "s3cret\n"
    assert "id-ci" in paas("authorizations:info", "id-ci").stdout
    assert "laptop" in paas("authorizations:update", "id-ci", "-d", "laptop").stdout
    assert "n3w" in paas("authorizations:rotate", "id-ci").stdout
    assert paas("authorizations:revoke", "id-ci").returncode == 0
    assert json.loads(paas("authorizations:info", "id-ci", "--json").stdout)["id"] == "id-ci"


def test_the_token_in_use(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/account", {"email": "owner@localhost"})
    assert paas("auth:token").stdout == f"{TOKEN}\n"


def test_sessions(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/oauth/sessions", [], [{"id": "s1", "description": "browser"}])
    wire.reply("DELETE", "/oauth/sessions/s1", {})
    assert paas("sessions").stdout == "You have no OAuth sessions.\n"
    assert "browser" in paas("sessions").stdout
    assert paas("sessions:destroy", "s1").returncode == 0


def test_keys(paas: Run, wire: Wire, directory: Path) -> None:
    key = {"id": "k1", "comment": "ann@laptop", "fingerprint": "SHA256:x", "public_key": "ssh-ed25519 AAAA ann@laptop"}
    wire.reply("GET", "/account/keys", [key])
    wire.reply("POST", "/account/keys", key, status=201)
    wire.reply("DELETE", "/account/keys/k1", key)
    assert "ann@laptop" in paas("keys").stdout
    (directory / "id.pub").write_text("ssh-ed25519 AAAA ann@laptop\n")
    (directory / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert paas("keys:add", "id.pub").returncode == 0
    assert wire.asked("POST", "/account/keys")[0].body == {"public_key": "ssh-ed25519 AAAA ann@laptop"}
    private = paas("keys:add", "id")
    assert private.returncode == 1 and "private key" in private.stderr
    assert paas("keys:add", "absent.pub").returncode == 1
    assert paas("keys:remove", "ann@laptop").returncode == 0
    assert paas("keys:remove", "bob@laptop").returncode == 1


def test_all_keys_are_removed(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/account/keys", [{"id": "k1"}, {"id": "k2"}])
    for key in ("k1", "k2"):
        wire.reply("DELETE", f"/account/keys/{key}", {"id": key})
    assert paas("keys:clear").stderr == "Removing all SSH keys... done\n"
    assert [len(wire.asked("DELETE", f"/account/keys/{key}")) for key in ("k1", "k2")] == [1, 1]
