"""The router's own answers: the right page, in the form asked for, with nothing a client sent left unescaped."""

import json
import re

import pytest

from router.answers import Answer, Answers
from router.codes import Code, Fault
from tests.router.process import RouterProcess, route


def rendered(accept: str, *, app: str = "shop", code: Code = Code.H80) -> str:
    data, _ = Answers().render(
        Answer.of(Fault(code)), accept=accept, app=app, request_id="r-1", to_head=False, keep_alive=True
    )
    return data.decode()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/vnd.heroku+json; version=3", "application/json"),
        ("text/html;q=0.2, application/json;q=0.8", "application/json"),
        ("text/plain", "text/plain"),
        ("text/html;q=x, text/plain;q=0.1", "text/plain"),
        ("image/png", "text/html"),
    ],
)
def test_the_form_is_the_one_asked_for(accept: str, kind: str) -> None:
    assert f"Content-Type: {kind}" in rendered(accept)


def test_what_is_inserted_is_escaped() -> None:
    page = rendered("text/html", app='<script>"{{code}}"')
    assert "<script>" not in page and "&lt;script&gt;&quot;" in page


@pytest.mark.parametrize("code", Code)
def test_every_page_stands_alone(code: Code) -> None:
    if code.status == 499:
        return  # nobody is there to read it
    page = rendered("text/html", code=code)
    assert not re.search(r"\{\{|https?://|<link|<script|@import|src=", page)
    assert "prefers-color-scheme:dark" in page and len(page) < 6000


@pytest.mark.parametrize(("code", "status"), [("H81", 502), ("H14", 503), ("H10", 503), ("H20", 503)])
async def test_an_app_without_targets_says_why(router: RouterProcess, code: str, status: int) -> None:
    await router.publish(route("shop", code=code))
    got = await router.get("shop.localhost", "/", "Accept: application/json")
    assert (got.status, json.loads(got.body)["code"]) == (status, code)
    assert got.header("retry-after") == ("30" if status == 503 else None)
    assert got.header("cache-control") == "no-store"
    assert len(await router.log_lines(f"code={code} .* status={status} ")) == 1


async def test_maintenance_beats_targets_and_head_has_no_body(router: RouterProcess) -> None:
    await router.publish(route("shop", 1, maintenance=True))
    whole, head = await router.get("shop.localhost"), await router.get("shop.localhost", method="HEAD")
    assert whole.status == head.status == 503
    assert b"Back in a little while" in whole.body and head.body == b""
    assert head.header("content-length") == str(len(whole.body))
    assert await router.log_lines('at=info code=H80 desc="Maintenance mode" method=HEAD .* bytes=0 protocol=http$')


async def test_an_unknown_host_is_not_found(router: RouterProcess) -> None:
    await router.publish()
    got = await router.get("nobody.localhost", "/", "Accept: application/json")
    assert got.status == 404 and json.loads(got.body)["id"] == "not_found"
