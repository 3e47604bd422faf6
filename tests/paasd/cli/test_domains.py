"""`domains` and its subcommands."""

from __future__ import annotations

import json

from .conftest import Run
from .wire import Wire


def domain(hostname: str, kind: str = "custom") -> dict[str, object]:
    cname = "shop.localhost" if kind == "custom" else None
    return {"hostname": hostname, "kind": kind, "cname": cname, "app": {"name": "shop", "id": "1"}, "status": "none"}


OWN = domain("shop.localhost", "heroku")


def test_list(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/domains", [domain("www.example.org"), OWN, domain("example.org")])
    assert paas("domains", "-a", "shop").stdout.splitlines() == [
        "=== shop Heroku Domain",
        "",
        "shop.localhost",
        "",
        "=== shop Custom Domains",
        "",
        "Domain Name      DNS Record Type  DNS Target",
        "example.org      ALIAS or ANAME   shop.localhost",
        "www.example.org  CNAME            shop.localhost",
    ]
    assert len(json.loads(paas("domains", "-a", "shop", "--json").stdout)) == 3
    wire.reply("GET", "/apps/shop/domains", [OWN])
    assert paas("domains", "-a", "shop").stdout == "=== shop Heroku Domain\n\nshop.localhost\n"


def test_add_info_remove(paas: Run, wire: Wire) -> None:
    www = domain("www.example.org")
    wire.reply("POST", "/apps/shop/domains", www, status=201)
    ran = paas("domains:add", "WWW.example.org", "-a", "shop")
    assert ran.stderr == "Adding WWW.example.org to shop... done\n"
    assert ran.stdout == "Have your DNS lead www.example.org to this machine (as shop.localhost).\n"
    assert wire.asked("POST", "/apps/shop/domains")[0].body == {"hostname": "WWW.example.org", "sni_endpoint": None}
    wire.reply("GET", "/apps/shop/domains/www.example.org", www)
    shown = paas("domains:info", "www.example.org", "-a", "shop").stdout
    assert "app:      shop\n" in shown and "hostname: www.example.org\n" in shown
    wire.reply("DELETE", "/apps/shop/domains/www.example.org", www)
    ran = paas("domains:remove", "www.example.org", "-a", "shop", "--json")
    assert ran.stderr == "Removing www.example.org from shop... done\n" and json.loads(ran.stdout) == www
    wire.fail("POST", "/apps/shop/domains", 422, "invalid_params", "www.example.org is in use by another app.")
    ran = paas("domains:add", "www.example.org", "-a", "shop")
    assert ran.returncode == 1 and "in use by another app" in ran.stderr


def test_clear_leaves_the_apps_own(paas: Run, wire: Wire) -> None:
    www = domain("www.example.org")
    wire.reply("GET", "/apps/shop/domains", [OWN, www])
    wire.reply("DELETE", "/apps/shop/domains/www.example.org", www)
    ran = paas("domains:clear", "-a", "shop", "--json")
    assert ran.stderr == "Removing all domains from shop... done\n" and json.loads(ran.stdout) == [www]
    assert wire.asked("DELETE", "/apps/shop/domains/shop.localhost") == []


def test_waiting(paas: Run, wire: Wire) -> None:
    www = domain("www.example.org")
    wire.reply("GET", "/apps/shop/domains", [OWN, www])
    wire.reply("GET", "/apps/shop/domains/www.example.org", {**www, "status": "pending"}, www)
    assert paas("domains:wait", "-a", "shop").stderr == "Waiting for www.example.org... done\n"
    assert len(wire.asked("GET", "/apps/shop/domains/www.example.org")) == 2
    assert json.loads(paas("domains:wait", "www.example.org", "-a", "shop", "--json").stdout) == [www]
