"""The machine-readable descriptions, against the route table and against answers as they come."""

import re

import jsonschema
import pytest

from paasd.api.openapi import OWN, operations, published, routes_of
from tests.paasd.api.api_page import PAGE, all_routes, page
from tests.paasd.api.world import World


async def test_both_are_there_without_a_token(world: World) -> None:
    for path in ("/openapi.json", "/schema"):
        answer = await world.ask("GET", path)
        assert answer.status == 200
    document = (await world.ask("GET", "/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/apps/{app}"]["get"]["tags"] == ["app"]
    schema = (await world.ask("GET", "/schema")).json
    links = schema["definitions"]["app"]["links"]
    assert {"GET", "POST", "PATCH", "DELETE"} == {link["method"] for link in links}
    assert "add-on" not in schema["properties"] or schema["definitions"]["add-on"]["links"]


def test_every_route_that_clients_call_is_described() -> None:
    """Bites: add a route without a line in OWN that Heroku does not know."""
    routes = all_routes()
    found = operations(routes, published())
    nameless = [operation.name for operation in found if not operation.summary]
    assert nameless == []
    served = {f"{method} {path}" for method, path in routes}
    assert [name for name in OWN if name not in served] == []
    assert [operation.name for operation in found if operation.name in OWN and operation.link is not None] == []


def test_the_page_is_what_the_routes_say() -> None:
    assert PAGE.read_text() == page(all_routes()), "run make api-docs"


async def test_references_lead_somewhere_and_answers_are_as_described(world: World) -> None:
    document = (await world.ask("GET", "/openapi.json")).json
    for reference in set(re.findall(r'"\$ref":"#/([^"]+)"', (await world.ask("GET", "/openapi.json")).raw.decode())):
        place = document
        for part in reference.split("/"):
            place = place[part.replace("%2F", "/").replace("~1", "/")]
    await world.create()
    described = document["paths"]["/apps/{app}"]["get"]["responses"]["2XX"]["content"]["application/json"]["schema"]
    judge = jsonschema.Draft202012Validator({**described, "components": document["components"]})
    judge.validate(await world.get("/apps/shop"))
    with pytest.raises(jsonschema.ValidationError):
        judge.validate({**await world.get("/apps/shop"), "maintenance": "perhaps"})
    refused = await world.call("GET", "/apps/none")
    jsonschema.validate(refused.json, document["components"]["schemas"]["error"])


async def test_the_routes_of_the_page_are_those_of_the_api(world: World) -> None:
    said = set((await world.ask("GET", "/openapi.json")).json["paths"])
    assert said == {operation.path for operation in operations(all_routes(), published())}
    assert routes_of is not None
