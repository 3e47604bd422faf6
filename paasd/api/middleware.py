"""What every request passes, outermost first: the access log, errors made JSON, the guards. Then comes identity.py."""

import re
import time
import uuid
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web
from yarl import URL

from paasd.api.parts import PARTS
from paasd.api.rates import REMAINING
from paasd.api.replies import Refusal, error_reply
from paasd.api.requests import ACTOR, REQUEST_ID, shown_path
from paasd.domain.errors import (
    Ambiguous,
    ConfirmationRequired,
    Conflict,
    DeployFailed,
    Forbidden,
    InvalidParams,
    NotFound,
    PaasError,
    ProviderFailed,
    Unauthorized,
    Unavailable,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER_SECONDS = "5"
NOTHING = "default-src 'none'; frame-ancestors 'none'"  # no answer but a page needs anything of anybody
BEGUN = web.RequestKey("BEGUN", web.StreamResponse)  # the answer whose head is under way

STATUSES: dict[type[PaasError], tuple[int, str]] = {
    NotFound: (404, "not_found"),
    Unauthorized: (401, "unauthorized"),
    Forbidden: (403, "forbidden"),
    Ambiguous: (422, "multiple_matches"),
    ConfirmationRequired: (422, "confirmation_required"),
    InvalidParams: (422, "invalid_params"),
    Conflict: (409, "conflict"),
    DeployFailed: (422, "invalid_params"),
    Unavailable: (503, "service_unavailable"),
    ProviderFailed: (422, "invalid_params"),
    PaasError: (500, "internal_server_error"),
}

log = structlog.get_logger(__name__)


@web.middleware
async def record_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One log line per request: never a query string, a header or a body."""
    request[REQUEST_ID] = _request_id(request.headers.get("Request-Id", ""))
    started = time.perf_counter()
    status = 499  # as routers log a client that went away
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        actor = request.get(ACTOR)
        log.info(
            "request",
            method=request.method,
            path=shown_path(request),
            status=status,
            ms=round((time.perf_counter() - started) * 1000, 1),
            request_id=request[REQUEST_ID],
            user=actor.email if actor else None,
        )


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON with one of Heroku's ids; what we did not expect is logged here, once.

    An answer that has begun is cut: the error would stand in the middle of it.
    """
    answer = await _answer(request, handler)
    begun: web.StreamResponse | None = request.get(BEGUN)
    if begun is None or begun is answer:
        return answer
    if request.transport is not None:
        log.warning("an answer that had begun was cut", path=shown_path(request), request_id=request[REQUEST_ID])
        request.transport.abort()
    return begun


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return error_reply(refusal.status, refusal.id, refusal.message, headers=refusal.headers)
    except PaasError as error:
        return _answer_paas_error(error)
    except web.HTTPException as error:
        if error.status < 400 or _is_extra(request):
            raise
        return _answer_http_error(error)
    except Exception:
        if request.transport is not None:  # else the client went away while it spoke: no fault of ours
            log.exception("request failed", path=shown_path(request), request_id=request[REQUEST_ID])
        message = f"Something broke on our side; look for {request[REQUEST_ID]} in the log of paasd."
        return error_reply(500, "internal_server_error", message)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn away web pages of others: a foreign Host (DNS rebinding) or Origin (forged requests); other API versions."""
    own = URL(request.app[PARTS].public_url)
    hosts = {"127.0.0.1", "localhost", "::1", own.host}
    if _host_of(request.headers.get(hdrs.HOST, "")) not in hosts:
        raise Refusal(403, "forbidden", "This host name is not ours; use the address that `paas env` prints.")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not _is_own_origin(origin, hosts, own.port):
        raise Refusal(403, "forbidden", "Web pages of other origins may not call this API; use the CLI or curl.")
    for version in re.findall(r"application/vnd\.heroku\+json\s*;\s*version\s*=\s*([^\s,;]+)", _accept(request)):
        if not re.fullmatch(r"3(\.[\w-]+)?", version):
            raise Refusal(406, "not_acceptable", "Only version 3 is spoken here; accept version=3 of the API.")
    return await handler(request)


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The headers that every answer has; what is left of the rate limit, where a token was used."""
    request[BEGUN] = response
    response.headers["Request-Id"] = request.get(REQUEST_ID, "")
    if REMAINING in request:
        response.headers["RateLimit-Remaining"] = str(request[REMAINING])
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Content-Security-Policy", NOTHING)
    response.headers["X-Frame-Options"] = "DENY"
    response.headers.setdefault("Cache-Control", "private, no-cache")


def _request_id(given: str) -> str:
    first = given.partition(",")[0].strip()
    return first if re.fullmatch(r"[\w.-]{1,64}", first, re.ASCII) else str(uuid.uuid4())


def _answer_paas_error(error: PaasError) -> web.Response:
    kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
    status, error_id = STATUSES[kind]
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if status == 503 else None
    return error_reply(status, error_id, error.message, resource=error.resource, app=error.app, headers=headers)


def _answer_http_error(error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPNotFound):
        return error_reply(404, "not_found", "The requested API endpoint was not found; check the path.")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method} is not possible here; use {allowed}."
        return error_reply(405, "bad_request", message, headers={hdrs.ALLOW: allowed})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return error_reply(413, "bad_request", "The body is larger than 1 MB; send less.")
    return error_reply(error.status, "bad_request", f"The request can't be answered ({error.reason}); check it.")


def _is_extra(request: web.Request) -> bool:
    return any(route.handler == request.match_info.handler for route in request.app[PARTS].extra_routes)


def _accept(request: web.Request) -> str:
    return ",".join(request.headers.getall(hdrs.ACCEPT, []))


def _host_of(authority: str) -> str | None:
    try:
        return URL(f"http://{authority}").host if authority else None
    except ValueError:
        return None


def _is_own_origin(origin: str, hosts: set[str | None], port: int | None) -> bool:
    try:
        url = URL(origin)
        return url.host in hosts and url.port == port
    except ValueError:
        return False
