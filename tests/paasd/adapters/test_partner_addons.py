"""What a partner may answer instead: refusals, other states of HTTP, nothing, nonsense. Its password stays with it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from paasd.adapters import partner_addons
from paasd.adapters.partner_addons import PartnerAddons
from paasd.adapters.web_fetch import WebFetch
from paasd.domain.addon import Kind, Plan
from paasd.domain.errors import InvalidParams, PaasError, ProviderFailed, Unavailable
from paasd.domain.partner import CODE, addon_of, parse_manifest
from paasd.ports import Order

PASSWORD = "the-password-of-paasd"
KEY = b"k" * 32
LOCAL = ("127.0.0.0/8",)
ORDER = Order("6f1c", "acme-blue-1", Kind.PARTNER, Plan("p", "acme:basic", "Basic"), ("app",), "s", "orders", "res/1")
FINE = {"id": "res/1", "config": {"ACME_URL": "https://one"}}


@dataclass
class Told:
    """A partner that answers as told; `asked` are (method, path, headers, body)."""

    url: str
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    asked: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def says(self, status: int, said: object = None, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.body = said if isinstance(said, bytes) else json.dumps(said).encode()

    def provider(self, allowed: tuple[str, ...] = LOCAL) -> PartnerAddons:
        api = {"config_vars": ["ACME_URL"], "password": PASSWORD, "sso_salt": "the-salt"}
        production = {"base_url": f"{self.url}/v3"}
        manifest = parse_manifest({"id": "acme", "api": {**api, "production": production}})
        return PartnerAddons(manifest, WebFetch(allowed), "https://paas.example.org", KEY)


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    async def answer(request: web.Request) -> web.Response:
        text = await request.text()
        one.asked.append((request.method, request.raw_path, request.headers, json.loads(text) if text else None))
        one.reached.set()
        if request.method != "DELETE":
            await asyncio.sleep(one.seconds)
        return web.Response(status=one.status, body=one.body, headers=one.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one = Told(f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield one
    await runner.cleanup()


async def test_cut_off_while_it_is_asked_the_next_daemon_asks_for_the_same(told: Told) -> None:
    """By its uuid, which partners tell what is asked twice by. Bites: what is cut off given up at the partner."""
    told.seconds = 0.2
    told.says(201, FINE)
    asking = asyncio.create_task(told.provider().provision(ORDER))
    async with asyncio.timeout(5):
        await told.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    told.seconds = 0
    made = await told.provider().provision(ORDER)
    assert made is not None and made.resource == "res/1"
    assert [(method, body["uuid"]) for method, _, _, body in told.asked] == [("POST", "6f1c")] * 2


async def test_what_is_asked(told: Told) -> None:
    told.says(201, FINE)
    made = await told.provider().provision(ORDER)
    assert made is not None and (made.resource, made.values, made.pending) == ("res/1", {"URL": "https://one"}, False)
    [(method, path, headers, body)] = told.asked
    login = base64.b64encode(f"acme:{PASSWORD}".encode()).decode()
    assert (method, path, headers["Authorization"]) == ("POST", "/v3", f"Basic {login}")
    assert headers["Accept"] == "application/vnd.heroku-addons+json; version=3"
    grant = body.pop("oauth_grant")
    assert (grant["type"], addon_of(KEY, CODE, grant["code"], 0)) == ("authorization_code", "6f1c")
    assert body == {
        "callback_url": "https://paas.example.org/addons/6f1c",
        "name": "orders",
        "options": {},
        "plan": "basic",
        "region": "amazon-web-services::us-east-1",
        "uuid": "6f1c",
    }
    told.says(200, {"message": "Now\nit is larger.", "config": {"ACME_URL": "https://two"}})
    changed = await told.provider().resize(ORDER)
    assert changed is not None and (changed.resource, changed.message) == ("res/1", "Now it is larger.")
    told.says(204, b"")
    assert await told.provider().resize(ORDER) is not None
    await told.provider().purge(ORDER)
    assert [(method, path, body) for method, path, _, body in told.asked[1:]] == [
        *(("PUT", "/v3/res%2F1", {"plan": "basic"}),) * 2,
        ("DELETE", "/v3/res%2F1", None),
    ]


REFUSALS = [
    (422, {"message": f"No: {PASSWORD}\x1b[31m"}, ProviderFailed, "acme refuses (HTTP 422): No: … [31m"),
    (410, {"message": "Gone."}, ProviderFailed, "HTTP 410): Gone."),
    (404, b"<html>", ProviderFailed, "it gave no reason."),
    (401, None, ProviderFailed, "refuses our password"),
    (302, None, ProviderFailed, "HTTP 302"),
    (423, {"message": "Later."}, Unavailable, "can't now (HTTP 423): Later."),
    (429, None, Unavailable, "HTTP 429"),
    (503, b"[" * 10_000, Unavailable, "HTTP 503"),
    (201, {"config": {}}, ProviderFailed, "without an id"),
    (201, b"no json", ProviderFailed, "without an id"),
    (201, {"id": {}}, ProviderFailed, "without an id"),
    (201, {"id": "1", "config": {"PATH": "/"}}, ProviderFailed, "does not name 'PATH'"),
    (201, {"id": "1", "config": []}, None, ""),
    (201, {"id": 7, "config": None, "message": None}, None, ""),
    (202, {"id": "1"}, None, ""),
    (201, {"id": "1", "config": {"ACME_URL": "x" * 40_000}}, ProviderFailed, "ACME_URL must be text"),
    (201, b" " * 300_000, Unavailable, "262144 bytes"),
]


@pytest.mark.parametrize(("status", "said", "error", "words"), REFUSALS)
async def test_what_else_it_may_answer(
    told: Told, status: int, said: object, error: type[PaasError] | None, words: str
) -> None:
    """Bites when `_require` takes all but 2xx for the same, or `_clean` lets the password through."""
    told.says(status, said, Location=f"{told.url}/elsewhere")
    if error is None:
        made = await told.provider().provision(ORDER)
        assert made is not None and made.pending == (status == 202)
        return
    with pytest.raises(error) as caught:
        await told.provider().provision(ORDER)
    assert words.lower() in caught.value.message.lower()
    assert PASSWORD not in caught.value.message and caught.value.message.isprintable()
    undone = [method for method, *_ in told.asked].count("DELETE")
    assert undone == (1 if error is ProviderFailed else 0)
    assert [path for _, path, *_ in told.asked if "elsewhere" in path] == []


async def test_a_plan_that_is_refused_is_the_caller_s_fault(told: Told) -> None:
    told.says(422, {"message": "Too small."})
    with pytest.raises(InvalidParams, match="Acme refuses this plan: Too small"):
        await told.provider().resize(ORDER)


async def test_one_that_is_gone_already(told: Told) -> None:
    for status in (404, 410):
        told.says(status)
        await told.provider().purge(ORDER)
    told.says(423, {"message": "There are invoices."})
    with pytest.raises(Unavailable, match="There are invoices"):
        await told.provider().purge(ORDER)


async def test_one_that_never_answers(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partner_addons, "ANSWER_SECONDS", 0.2)
    told.seconds = 5.0
    with pytest.raises(Unavailable, match="did not answer in whole within"):
        await told.provider().provision(ORDER)


async def test_whom_nobody_may_ask(told: Told) -> None:
    """As other URLs: no private address unless the settings allow it. Nothing is sent."""
    provider = told.provider(allowed=())
    problem = await provider.problem(Kind.PARTNER)
    assert problem is not None and "web.allow_private" in problem
    with pytest.raises(ProviderFailed, match="allow_private"):
        await provider.provision(ORDER)
    assert told.asked == []
    assert await told.provider().problem(Kind.PARTNER) is None
    assert await told.provider().problem(Kind.REDIS) is not None


async def test_the_password_does_not_cross_the_internet_in_clear(told: Told) -> None:
    told.url = "http://93.184.215.14:9"
    problem = await told.provider().problem(Kind.PARTNER)
    assert problem is not None and "https" in problem
    with pytest.raises(ProviderFailed, match="https"):
        await told.provider().provision(ORDER)
    told.url = "https://no-such-host.invalid"
    assert await told.provider().problem(Kind.PARTNER) is None
    with pytest.raises(Unavailable, match="resolved"):
        await told.provider().provision(ORDER)
