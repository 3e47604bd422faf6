"""How we answer: JSON always, an ETag on what was read, and errors as `{"id", "message"}`."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

JSON = "application/json"
CAPABILITIES = ("output_stream_url", "logplex_url")


class Refusal(Exception):
    """A request refused by the HTTP layer itself. `id` is one of Heroku's error ids."""

    def __init__(self, status: int, error_id: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.id = error_id
        self.message = message
        self.headers = headers or {}


def reply(
    request: web.Request, payload: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The payload as JSON; 304 without a body when the reader has it already."""
    body = msgspec.json.encode(payload)
    response = web.Response(body=body, status=status, content_type=JSON, headers=headers)
    if request.method not in ("GET", "HEAD"):
        return response
    etag = hashlib.sha256(msgspec.json.encode(_without_capabilities(payload))).hexdigest()[:32]
    response.etag = etag
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers={"ETag": response.headers["ETag"]})
    return response


def error_reply(
    status: int,
    error_id: str,
    message: str,
    *,
    resource: str | None = None,
    app: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An error in Heroku's shape."""
    payload: dict[str, object] = {"id": error_id, "message": message}
    if resource is not None:
        payload["resource"] = resource
    if app is not None:
        payload["app"] = {"name": app}
    return web.Response(body=msgspec.json.encode(payload), status=status, content_type=JSON, headers=headers)


def _without_capabilities(payload: Any) -> Any:
    """The payload less its capability URLs, which change by the hour while what they open does not."""
    if isinstance(payload, list):
        return [_without_capabilities(item) for item in payload]
    if isinstance(payload, dict):
        return {name: value for name, value in payload.items() if name not in CAPABILITIES}
    return payload
