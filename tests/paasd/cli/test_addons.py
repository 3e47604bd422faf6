"""`addons` and its kin, against a wire that answers as told."""

from __future__ import annotations

import json
from typing import Any

from .conftest import Run
from .wire import Wire


def addon(name: str = "orders", state: str = "provisioned", **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "name": name,
        "state": state,
        "app": {"id": "1", "name": "shop"},
        "plan": {"id": "2", "name": "heroku-postgresql:mini"},
        "config_vars": ["DATABASE_URL"],
        "created_at": "2026-11-23T06:00:00Z",
        "provider_id": "container",
        **more,
    }


def attachment(app: str = "shop", name: str = "DATABASE") -> dict[str, Any]:
    return {"id": f"at-{name}", "name": name, "app": {"name": app}, "addon": {"id": "id-orders", "name": "orders"}}


def test_list(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/shop/addons", [addon()])
    wire.reply("GET", "/addon-attachments", [attachment(), attachment("till", "ORDERS")])
    assert paas("addons", "-a", "shop").stdout.splitlines() == [
        "Owning app  Add-on  Plan                    Price  State    Attachments",
        "shop        orders  heroku-postgresql:mini  free   created  shop::DATABASE, till::ORDERS",
    ]
    [shown] = json.loads(paas("addons", "-a", "shop", "--json").stdout)
    assert [one["name"] for one in shown["attachments"]] == ["DATABASE", "ORDERS"]
    wire.reply("GET", "/apps/shop/addons", [])
    wire.reply("GET", "/addon-attachments", [])
    assert paas("addons", "-a", "shop").stdout == "No add-ons for app shop.\n"


def test_one_of_another_app_is_listed_where_it_is_attached(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/apps/till/addons", [])
    wire.reply("GET", "/addon-attachments", [attachment(), attachment("till", "ORDERS")])
    wire.reply("GET", "/addons/id-orders", addon())
    assert "shop        orders" in paas("addons", "-a", "till").stdout


def test_create_and_wait(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/apps/shop/addons", addon(state="provisioning"), status=201)
    wire.reply("GET", "/addons/id-orders", addon())
    ran = paas("addons:create", "postgresql:mini", "-a", "shop", "--name", "orders", "--as", "DATABASE", "--wait")
    assert ran.stdout == "Created orders as DATABASE_URL\n"
    assert ran.stderr == "Creating postgresql:mini on shop... free\nWaiting for orders... done\n"
    [asked] = wire.asked("POST", "/apps/shop/addons")
    assert asked.body == {"plan": {"name": "postgresql:mini"}, "attachment": {"name": "DATABASE"}, "name": "orders"}
    paas("addons:create", "keeper:small", "-a", "shop", "-o", "zone=east", "--option", "slow")
    assert wire.asked("POST", "/apps/shop/addons")[-1].body["config"] == {"zone": "east", "slow": True}
    ran = paas("addons:create", "postgresql:mini", "-a", "shop")
    assert "is being created" in ran.stdout and "paas addons:wait orders" in ran.stdout


def test_one_that_could_not_be_had_ends_with_1_and_why(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/apps/shop/addons", addon(state="provisioning"), status=201)
    why = "orders could not be provisioned: the disk is full."
    wire.fail("GET", "/addons/id-orders", 422, "invalid_params", why)
    ran = paas("addons:create", "postgresql:mini", "-a", "shop", "--wait")
    assert (ran.returncode, why in ran.stderr) == (1, True)


def test_destroy_wants_the_app_s_name(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/actions/addons/resolve", [addon()])
    for more, words in (((), "add --confirm shop"), (("-c", "till"), "did not match")):
        refused = paas("addons:destroy", "DATABASE", "-a", "shop", *more)
        assert (refused.returncode, words in refused.stderr) == (1, True)
    assert wire.asked("DELETE", "/apps/shop/addons/id-orders") == []
    wire.reply("DELETE", "/apps/shop/addons/id-orders", addon(state="deprovisioning"))
    ran = paas("addons:destroy", "DATABASE", "-a", "shop", "--confirm", "shop", "--force")
    assert ran.stdout == "Its data is kept for 7 days: paas addons:undestroy orders -a shop\n"
    assert wire.asked("DELETE", "/apps/shop/addons/id-orders")[0].body == {"force": True}
    wire.reply("POST", "/apps/shop/addons/actions/undestroy", addon(), status=201)
    assert paas("addons:undestroy", "orders", "-a", "shop").stdout == "It is attached as DATABASE_URL\n"


def test_a_partner_keeps_nothing(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/actions/addons/resolve", [addon(provider_id="theirs-7")])
    wire.reply("DELETE", "/apps/shop/addons/id-orders", addon(state="deprovisioning", provider_id="theirs-7"))
    assert paas("addons:destroy", "DATABASE", "-a", "shop", "--confirm", "shop").stdout == ""


def test_open(paas: Run, wire: Wire) -> None:
    """Without a browser (there is none in tests) its address is of use all the same."""
    url = "http://127.0.0.1:5500/dashboards/id-orders/me?cap=00"
    wire.reply("POST", "/actions/addons/resolve", [addon(web_url=url)])
    assert paas("addons:open", "DATABASE", "-a", "shop", "--show-url").stdout == f"{url}\n"
    assert json.loads(paas("addons:open", "DATABASE", "-a", "shop", "--json").stdout) == {"url": url}
    assert wire.asked("POST", "/actions/addons/resolve")[0].body == {"addon": "DATABASE", "app": "shop"}


def test_attach_detach_rename_upgrade_and_info(paas: Run, wire: Wire) -> None:
    wire.reply("POST", "/addon-attachments", attachment("till", "ORDERS"), status=201)
    assert paas("addons:attach", "orders", "-a", "till").stdout == "orders is attached as ORDERS.\n"
    wire.reply("GET", "/apps/till/addon-attachments/ORDERS", attachment("till", "ORDERS"))
    wire.reply("DELETE", "/addon-attachments/at-ORDERS", attachment("till", "ORDERS"))
    assert paas("addons:detach", "ORDERS", "-a", "till").stderr == "Detaching ORDERS to orders from till... done\n"
    wire.reply("POST", "/actions/addons/resolve", [addon()])
    wire.reply("PATCH", "/apps/shop/addons/id-orders", addon("receipts"))
    assert paas("addons:rename", "orders", "receipts").stdout == "orders successfully renamed to receipts.\n"
    assert "done" in paas("addons:upgrade", "orders", "postgresql:small").stderr
    wire.reply("GET", "/addons/id-orders/addon-attachments", [attachment()])
    shown = paas("addons:info", "orders").stdout
    assert shown.startswith("=== orders\n") and "shop::DATABASE" in shown and "container" in shown


def test_services_and_plans(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/addon-services", [{"name": "heroku-redis", "human_name": "Redis", "state": "ga"}])
    assert "heroku-redis  Redis  ga" in paas("addons:services").stdout
    plan = {"name": "heroku-redis:mini", "human_name": "Mini", "description": "25 MB of memory", "default": True}
    wire.reply("GET", "/addon-services/redis/plans", [plan])
    assert "default  heroku-redis:mini  Mini  25 MB of memory" in paas("addons:plans", "redis").stdout


def test_a_dashboard_that_the_token_does_not_open(paas: Run, wire: Wire) -> None:
    """Bites: `web_url` printed though it is null."""
    wire.reply("POST", "/actions/addons/resolve", [addon(web_url=None)])
    ran = paas("addons:open", "orders", "-a", "shop", "--show-url")
    assert (ran.returncode, ran.stdout) == (1, "") and "write-protected" in ran.stderr
