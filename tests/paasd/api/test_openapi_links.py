"""Links of the OpenAPI document: where the id in an answer leads to."""

from paasd.api.openapi import operations, published
from paasd.api.openapi_links import links_of, operation_id
from tests.paasd.api.api_page import all_routes
from tests.paasd.api.world import World

NAMES = [
    ("GET", "/apps"),
    ("POST", "/apps"),
    ("GET", "/apps/{app}"),
    ("DELETE", "/apps/{app}"),
    ("GET", "/apps/{app}/builds"),
    ("POST", "/apps/{app}/builds"),
    ("GET", "/apps/{app}/builds/{build}"),
]


def test_what_was_made_leads_to_all_of_it_and_a_list_to_what_reads() -> None:
    """Bites: a list's links not kept to GET."""
    made = links_of("POST", "/apps", False, NAMES)
    assert set(made) == {"get-apps-app", "delete-apps-app", "get-apps-app-builds", "post-apps-app-builds"}
    assert made["get-apps-app-builds"]["parameters"] == {"app": "$response.body#/id"}
    assert set(links_of("GET", "/apps", True, NAMES)) == {"get-apps-app", "get-apps-app-builds"}
    build = links_of("POST", "/apps/{app}/builds", False, NAMES)["get-apps-app-builds-build"]
    assert build["parameters"] == {"app": "$request.path.app", "build": "$response.body#/id"}
    assert links_of("GET", "/apps/{app}", False, NAMES) == links_of("DELETE", "/apps/{app}", False, NAMES) == {}


async def test_each_link_names_an_operation_and_only_parameters_of_it(world: World) -> None:
    document = (await world.ask("GET", "/openapi.json")).json
    described = {
        operation["operationId"]: {parameter["name"] for parameter in operation["parameters"]}
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert set(described) == {operation_id(one.method, one.path) for one in operations(all_routes(), published())}
    links = [
        link
        for methods in document["paths"].values()
        for operation in methods.values()
        for link in operation["responses"]["2XX"].get("links", {}).values()
    ]
    assert len(links) > 100
    for link in links:
        assert set(link["parameters"]) == described[link["operationId"]]
