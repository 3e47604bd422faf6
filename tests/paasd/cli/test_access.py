"""`access*`, `accounts*`, `audit` and `apps:rename`, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Run
from .wire import Wire, app

OWNER = {"user": {"email": "owner@localhost"}, "role": "owner", "permissions": [{"name": "view"}, {"name": "manage"}]}
ANN = {"user": {"email": "ann@example.org"}, "role": "collaborator", "permissions": [{"name": "view"}]}


def test_the_owner_comes_first(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/collaborators", [ANN, OWNER])
    lines = paas("access", "-a", "shop").stdout.splitlines()
    assert lines[0] == "=== Access to shop"
    assert [line.split()[0] for line in lines[3:]] == ["owner@localhost", "ann@example.org"]
    assert json.loads(paas("access", "-a", "shop", "--json").stdout) == [ANN, OWNER]


def test_shared_with_and_without_permissions(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/apps/shop/collaborators", ANN, status=201)
    wire.reply("PATCH", "/apps/shop/collaborators/ann%40example.org", ANN)
    wire.reply("DELETE", "/apps/shop/collaborators/ann%40example.org", ANN)
    assert paas("access:add", "ann@example.org", "-a", "shop").returncode == 0
    assert paas("access:add", "ann@example.org", "-p", "view, deploy", "-a", "shop").returncode == 0
    assert [seen.body for seen in wire.asked("POST", "/apps/shop/collaborators")] == [
        {"user": "ann@example.org"},
        {"user": "ann@example.org", "permissions": ["view", "deploy"]},
    ]
    changed = paas("access:update", "ann@example.org", "-p", "view", "-a", "shop")
    assert changed.stderr == "Updating ann@example.org in shop... done\n"
    assert paas("access:remove", "ann@example.org", "-a", "shop").returncode == 0
    wrong = paas("access:add", "ann@example.org", "-p", "rule", "-a", "shop")
    assert (wrong.returncode, "rule is no permission" in wrong.stderr) == (1, True)


def test_people(paas: Run, wire: Wire) -> None:
    one = {"email": "ann@example.org", "name": None, "admin": False, "created_at": "2026-11-23T06:00:00Z", "id": "a"}
    wire.reply("GET", "/paasd/accounts", [one])
    wire.reply("POST", "/paasd/accounts", {**one, "token": "s3cret"}, status=201)
    wire.reply("DELETE", "/paasd/accounts/ann%40example.org", one)
    assert "ann@example.org" in paas("accounts").stdout
    made = paas("accounts:create", "ann@example.org")
    assert (made.stdout, "shown this once" in made.stderr) == ("s3cret\n", True)
    assert paas("accounts:remove", "ann@example.org").returncode == 0
    wire.reply("PATCH", "/account", {})
    given = paas("auth:password", stdin="correct horse\ncorrect horse\n")
    assert given.returncode == 0 and "correct" not in given.stdout + given.stderr
    assert wire.asked("PATCH", "/account")[0].body == {"password": "correct horse"}


def test_the_audit_in_words(paas: Run, wire: Wire) -> None:
    entry = {
        "at": "2026-11-23T06:00:00.123Z", "user": {"email": "ann@example.org"}, "token": "laptop",
        "address": "127.0.0.1", "method": "PATCH", "path": "/apps/shop", "status": 200, "detail": {},
    }  # fmt: skip
    details: list[dict[str, object]] = [
        {"fields": ["maintenance"], "maintenance": [False, True]},
        {"set": ["A", "B"]},
        {"formation": {"web": [1, 2]}},
        {"name": ["shop", "store"]},
    ]
    entries = [{**entry, "detail": detail} for detail in details] + [{**entry, "status": 403}]
    wire.reply("GET", "/apps/shop/audit?limit=50", entries)
    wire.reply("GET", "/paasd/audit?limit=2", entries[:2])
    lines = paas("audit", "-a", "shop").stdout.splitlines()[1:]
    assert [line.split("/apps/shop", 1)[1].strip() for line in lines] == [
        "maintenance off→on",
        "set A,B",
        "web 1→2",
        "name shop→store",
        "forbidden",
    ]
    assert lines[0].startswith("2026-11-23T06:00:00Z  ann@example.org  laptop  127.0.0.1  PATCH")
    assert len(json.loads(paas("audit", "-n", "2", "--json").stdout)) == 2


def test_renamed_with_its_remotes(paas: Run, wire: Wire, repository: Path) -> None:
    wire.reply("GET", "/apps/shop", app())
    wire.reply("PATCH", "/apps/shop", app("store"))
    assert paas("git:remote", "-a", "shop").returncode == 0
    renamed = paas("apps:rename", "store")
    assert renamed.returncode == 0, renamed.stderr
    assert "http://store.localhost:8080/" in renamed.stdout
    config = (repository / ".git" / "config").read_text()
    assert "/store.git" in config and "/shop.git" not in config


def test_given_away(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/account/app-transfers", {"state": "accepted"}, status=201)
    assert paas("apps:transfer", "ann@example.org", "-a", "shop").returncode == 0
    assert wire.asked("POST", "/account/app-transfers")[0].body == {"app": "shop", "recipient": "ann@example.org"}
