"""Which operation gives what another asks for in its path: `links` of OpenAPI, made of the paths themselves."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

PARAMETER = re.compile(r"\{(\w+)\}")


def links_of(method: str, path: str, listed: bool, names: Iterable[tuple[str, str]]) -> Mapping[str, Any]:
    """The links of one operation's answer, among all (method, path): by the id of what it made, or of the first listed.

    A list leads to what may be read alone: what is first in it may be what the caller lives by.
    """
    if method not in ("GET", "POST") or (method == "GET" and not listed):
        return {}
    own = PARAMETER.findall(path)
    source = "$response.body#/0/id" if method == "GET" else "$response.body#/id"
    found = {}
    for other, target in names:
        item = re.match(re.escape(path) + r"/\{(\w+)\}(/|$)", target)
        if item is None or PARAMETER.findall(target) != [*own, item[1]] or (method == "GET" and other != "GET"):
            continue
        parameters = {name: f"$request.path.{name}" for name in own} | {item[1]: source}
        found[operation_id(other, target)] = {"operationId": operation_id(other, target), "parameters": parameters}
    return found


def operation_id(method: str, path: str) -> str:
    """ "get-apps-app" of GET /apps/{app}."""
    return re.sub(r"\W+", "-", f"{method} {path}".lower()).strip("-")
