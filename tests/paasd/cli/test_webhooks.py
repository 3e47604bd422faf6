"""`webhooks` and its subcommands."""

from __future__ import annotations

import json

from .conftest import Run
from .wire import Wire

HOOK = {"id": "w1", "url": "https://example.org/h", "include": ["api:release"], "level": "sync", "created_at": "2026"}
DELIVERY = {
    "id": "d1",
    "created_at": "2026-11-26T06:00:00Z",
    "status": "retrying",
    "event": {"id": "e1", "include": "api:release"},
    "webhook": {"id": "w1", "level": "sync"},
    "num_attempts": 1,
    "last_attempt": {"code": 500, "error_class": None},
    "next_attempt_at": "2026-11-26T06:00:15Z",
}


def test_list_and_info(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/webhooks", [HOOK])
    assert paas("webhooks", "-a", "shop").stdout.splitlines() == [
        "Webhook ID  URL                    Include      Level",
        "w1          https://example.org/h  api:release  sync",
    ]
    wire.reply("GET", "/apps/shop/webhooks/w1", HOOK)
    assert "Include:    api:release\n" in paas("webhooks:info", "w1", "-a", "shop").stdout
    wire.reply("GET", "/apps/shop/webhooks", [])
    assert "has no webhooks" in paas("webhooks", "-a", "shop").stdout


def test_add_update_remove(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/apps/shop/webhooks", HOOK, status=201)
    ran = paas("webhooks:add", "-i", "api:release,api:build", "-l", "sync", "-u", "https://example.org/h", "-a", "shop")
    sent = wire.asked("POST", "/apps/shop/webhooks")[0].body
    assert sent["include"] == ["api:release", "api:build"]
    assert ran.stdout == f"=== Webhooks Signing Secret\n\n{sent['secret']}\n" and len(sent["secret"]) == 64
    wire.reply("PATCH", "/apps/shop/webhooks/w1", HOOK)
    assert paas("webhooks:update", "w1", "-l", "notify", "-a", "shop").returncode == 0
    assert wire.asked("PATCH", "/apps/shop/webhooks/w1")[0].body == {"level": "notify"}
    assert "Nothing to change" in paas("webhooks:update", "w1", "-a", "shop").stderr
    wire.reply("DELETE", "/apps/shop/webhooks/w1", HOOK)
    assert paas("webhooks:remove", "w1", "-a", "shop").stderr == "Removing webhook w1 from shop... done\n"


def test_deliveries(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/webhook-deliveries", [DELIVERY])
    line = paas("webhooks:deliveries", "-a", "shop").stdout.splitlines()[1]
    assert line.split() == [
        *("d1", "2026-11-26T06:00:00Z", "retrying", "api:release", "sync", "1", "500", "2026-11-26T06:00:15Z"),
    ]
    assert "has no deliveries" in paas("webhooks:deliveries", "-s", "failed", "-a", "shop").stdout
    wire.reply("GET", "/apps/shop/webhook-deliveries/d1", DELIVERY)
    wire.reply("GET", "/apps/shop/webhook-events/e1", {"id": "e1", "payload": {"action": "create"}})
    shown = paas("webhooks:deliveries:info", "d1", "-a", "shop").stdout
    assert "Code:         500\n" in shown and '"action": "create"' in shown
    wire.reply("POST", "/apps/shop/webhook-deliveries/d1/actions/retry", DELIVERY, status=202)
    assert json.loads(paas("webhooks:deliveries:retry", "d1", "-a", "shop", "--json").stdout) == DELIVERY
