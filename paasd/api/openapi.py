"""What is served, in two machine-readable forms: OpenAPI 3.1, and Heroku's own JSON hyper-schema cut down to it.

Both are made of the schema that Heroku publishes (platform-api.json, MIT) and of the routes there are. Answers are its
resources, checked by the tests; requests are taken more loosely than it says, as real clients need it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from paasd.api.absent import REFUSALS
from paasd.api.databases import refuse
from paasd.api.openapi_links import links_of, operation_id
from paasd.api.policy import POLICIES
from paasd.api.replies import JSON

PUBLISHED = Path(__file__).parent / "platform-api.json"
LOOSENED = (("app", "git_url"), ("app", "web_url"))  # their patterns name Heroku's own hosts
OWN: Mapping[str, str] = {
    "DELETE /account/keys/{key}": "Remove an SSH key.",
    "DELETE /apps/{app}/error-page": "Take the app's own error page away.",
    "DELETE /apps/{app}/maintenance-page": "Take the app's own maintenance page away.",
    "DELETE /client/v11/apps/{app}/transfers/{transfer}": "Delete a backup, or the record of a restore or copy.",
    "DELETE /client/v11/databases/{database}/transfer-schedules/{schedule}": "End a database's daily backups.",
    "DELETE /oauth/sessions/{session}": "End a browser login.",
    "DELETE /paasd/accounts/{account}": "Remove a person, with their tokens and what they may do.",
    "GET /apps/{app}/audit": "Who wrote what to the app, newest first.",
    "GET /apps/{app}/maintenance": "How the app is kept in maintenance, and which pages are its own.",
    "GET /client/v11/apps/{app}/transfers": "The app's backups, restores and copies, newest first.",
    "GET /client/v11/apps/{app}/transfers/{transfer}": "One of them; with its log where `verbose` is asked for.",
    "GET /client/v11/databases/{database}": "What a database is like now.",
    "GET /client/v11/databases/{database}/transfer-schedules": "The daily backups of the app's databases.",
    "GET /client/v11/databases/{database}/wait_status": "Whether a database is there yet.",
    "GET /health": "Whether the daemon answers; needs no token.",
    "GET /oauth/sessions": "Browser logins.",
    "GET /openapi.json": "This description.",
    "GET /paasd/accounts": "The people who may use this paasd.",
    "GET /paasd/audit": "Who wrote what, newest first.",
    "GET /paasd/ca": "The certificate of the daemon's own authority.",
    "GET /paasd/disk": "How full the disks are, and which app uses what.",
    "GET /paasd/process": "The daemon's process: its memory, descriptors, threads and tasks.",
    "GET /paasd/router": "Whether the router runs, where it listens and which table it serves.",
    "GET /postgres/v0/databases/{database}/credentials": "The credential that the config vars have.",
    "GET /postgres/v0/databases/{database}/credentials/{credential}": "The same, by its name: default.",
    "GET /redis/v0/databases/{database}": "What a key-value store is like now.",
    "GET /redis/v0/databases/{database}/wait": "Whether a key-value store is there yet.",
    "GET /schema": "Heroku's JSON hyper-schema, cut down to what is served here.",
    "PATCH /apps/{app}/collaborators/{collaborator}": "Change what somebody may do to the app.",
    "PATCH /apps/{app}/maintenance": "Turn maintenance on or off, with its end, a pause and who is let in.",
    "POST /account/keys": "Add an SSH key.",
    "POST /apps/{app}/addons/actions/undestroy": "Have a destroyed add-on again, with its data.",
    "POST /apps/{app}/dynos/{dyno}": "Run a command inside a running dyno.",
    "POST /apps/{app}/maintenance/bypass": "Make a link that lets its bearer in.",
    "POST /apps/{app}/webhook-deliveries/{delivery}/actions/retry": "Send a webhook's delivery again, at once.",
    "POST /client/v11/apps/{app}/transfers/{transfer}/actions/cancel": "Break off what is under way.",
    "POST /client/v11/apps/{app}/transfers/{transfer}/actions/public-url": "A URL of a backup for 2 to 3 hours.",
    "POST /client/v11/databases/{database}/backups": "Begin a backup.",
    "POST /client/v11/databases/{database}/connection_reset": "End all connections of the apps' user.",
    "POST /client/v11/databases/{database}/restores": "Begin to put a backup in the place of the data.",
    "POST /client/v11/databases/{database}/transfer-schedules": "Have a backup taken every day.",
    "POST /client/v11/databases/{database}/transfers": "Begin to copy one database onto another.",
    "POST /paasd/accounts": "Add a person.",
    "POST /paasd/databases/{database}/psql": "psql, beside the server, on a connection of its own.",
    "POST /paasd/databases/{database}/redis-cli": "redis-cli, beside the server, on a connection of its own.",
    "POST /paasd/router/stop": "Stop the router once its requests are done.",
    "POST /paasd/router/upgrade": "Put a router of the installed version in the place of the running one.",
    "POST /postgres/v0/databases/{database}/credentials/{credential}/credentials_rotation": "As the next.",
    "POST /postgres/v0/databases/{database}/credentials_rotation": "A new password; each app gets it by one release.",
    "POST /redis/v0/databases/{database}/credentials_rotation": "A new password; each app gets it by one release.",
    "PUT /apps/{app}/error-page": "Show this HTML when the app fails to answer.",
    "PUT /apps/{app}/maintenance-page": "Show this HTML during maintenance.",
    "PUT /client/v11/databases/{database}/reset": "Empty a database: all its data goes.",
}
ERROR = {
    "type": "object",
    "required": ["id", "message"],
    "properties": {"id": {"type": "string"}, "message": {"type": "string"}, "resource": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `noun` and `link` are of Heroku's schema, None where it is our own."""

    method: str
    path: str
    noun: str | None
    link: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def summary(self) -> str:
        if self.link is not None:
            return str(self.link.get("description") or self.link.get("title") or "")
        return OWN.get(self.name, "")


def published() -> dict[str, Any]:
    """Heroku's schema, loosened where only its own hosts can hold to it."""
    text = PUBLISHED.read_text("utf-8").replace("#/definitions/dyno_size/", "#/definitions/dyno-size/")  # a slip of its
    schema: dict[str, Any] = json.loads(text)
    for noun, name in LOOSENED:
        schema["definitions"][noun]["definitions"][name].pop("pattern")
    schema["definitions"]["domain"]["definitions"]["hostname"].pop("format")  # "uri", which no host name is
    schema["definitions"]["add-on"]["definitions"]["state"]["enum"].append("deprovisioning")  # which the CLI waits for
    schema["definitions"]["add-on-attachment"]["properties"]["addon"].pop("additionalProperties")  # Accept-Inclusion
    schema["definitions"]["region"]["definitions"]["provider"]["properties"]["region"].pop("enum")
    return schema


def operations(routes: Iterable[tuple[str, str]], schema: Mapping[str, Any]) -> list[Operation]:
    """Each (method, pattern) that clients call, by path; streams, pages and git are not among them."""
    links = dict(_links(schema))
    found = []
    for method, path in sorted({(method, path) for method, path in routes if method != "HEAD"}):
        name = f"{method} {path}"
        if name in POLICIES or name in OWN:
            noun, link = links.get((method, _blank(path)), (None, None))
            found.append(Operation(method, path, noun, link))
    return sorted(found, key=lambda operation: (operation.path, operation.method))


def unserved(routes: Iterable[tuple[str, str]], schema: Mapping[str, Any]) -> list[str]:
    """Heroku's links that have no route here."""
    served = {(method, _blank(path)) for method, path in routes}
    return sorted(f"{method} {path}" for (method, path), _ in _links(schema) if (method, path) not in served)


def openapi(found: Iterable[Operation], schema: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    found = list(found)
    names = [(operation.method, operation.path) for operation in found]
    for operation in found:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, names)
    components = {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": {"error": ERROR, **schema["definitions"]},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "paasd", "version": version, "description": "The Heroku Platform API v3, on your machine."},
        "security": [{"token": []}],
        "paths": paths,
        "components": components,
    }
    return dict(_moved(document))


def hyper_schema(found: Iterable[Operation], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Heroku's schema with the links that are served, and the resources they need."""
    kept: dict[str, list[Any]] = {}
    for operation in found:
        if operation.noun is not None:
            kept.setdefault(operation.noun, []).append(operation.link)
    definitions = {
        noun: {**definition, "links": kept.get(noun, [])} for noun, definition in schema["definitions"].items()
    }
    properties = {noun: {"$ref": f"#/definitions/{noun}"} for noun in sorted(kept)}
    return {**schema, "definitions": definitions, "properties": properties}


def _links(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], tuple[str, Mapping[str, Any]]]]:
    for noun, definition in schema["definitions"].items():
        for link in definition.get("links", ()):
            href = unquote(re.sub(r"\{\([^)]*\)\}", "{}", link["href"]))
            yield (link["method"], href), (noun, link)


def _blank(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _described(operation: Operation, names: Iterable[tuple[str, str]]) -> dict[str, Any]:
    policy = POLICIES.get(operation.name)
    link = operation.link or {}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)", operation.path)
    ]
    target = link.get("targetSchema")
    answer: dict[str, Any] = {"description": "Done.", "content": {JSON: {"schema": target or {}}}}
    listed = "array" in (target or {}).get("type", ())
    if links := links_of(operation.method, operation.path, listed, names):
        answer["links"] = links
    described: dict[str, Any] = {
        "operationId": operation_id(operation.method, operation.path),
        "summary": operation.summary,
        "tags": [operation.noun or "paasd"],
        "parameters": parameters,
        "responses": {
            "2XX": answer,
            "default": {
                "description": "Refused: `id` for programs, `message` says what to do.",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/error"}}},
            },
        },
    }
    if policy is None:
        described["security"] = []
    else:
        needs = f"scope `{policy.scope.value}`" + (f", permission `{policy.permission}`" if policy.permission else "")
        described["description"] = f"Needs {needs}{', an admin' if policy.admin else ''}."
    if (wanted := link.get("schema")) is not None and operation.method not in ("GET", "DELETE"):
        described["requestBody"] = {"content": {JSON: {"schema": _loosely(wanted)}}}
    return described


def _loosely(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a body must have is told by the answer to one that lacks it: clients send less than the schema says.

    They send null, too, for what they leave out.
    """
    loose = {key: value for key, value in wanted.items() if key != "required"}
    if "properties" in loose:
        loose["properties"] = {
            name: {"anyOf": [value, {"type": "null"}]} for name, value in loose["properties"].items()
        }
    return loose


def _moved(part: Any) -> Any:
    """References to where OpenAPI keeps what they lead to."""
    if isinstance(part, dict):
        return {
            key: value.replace("#/definitions/", "#/components/schemas/")
            if key == "$ref" and isinstance(value, str)
            else _moved(value)
            for key, value in part.items()
        }
    return [_moved(each) for each in part] if isinstance(part, list) else part


def routes_of(api: web.Application) -> list[tuple[str, str]]:
    """(method, pattern) of each that does more than to say no."""
    return [
        (route.method, route.resource.canonical)
        for route in api.router.routes()
        if route.resource is not None
        and route.handler not in (*REFUSALS, refuse)  # a route without one is aiohttp's own
    ]


async def show_openapi(request: web.Request) -> web.Response:
    schema = published()
    found = operations(routes_of(request.app), schema)
    version = str(request.app[VERSION])
    return web.Response(body=msgspec.json.encode(openapi(found, schema, version)), content_type=JSON)


async def show_schema(request: web.Request) -> web.Response:
    schema = published()
    found = operations(routes_of(request.app), schema)
    return web.Response(body=msgspec.json.encode(hyper_schema(found, schema)), content_type=JSON)


VERSION = web.AppKey("VERSION", str)
PUBLIC_ROUTES = (web.get("/openapi.json", show_openapi), web.get("/schema", show_schema))
