"""Apps' own pages: on disk by their hash, served to browsers only, and no harm where one is missing."""

import hashlib
import json
import os
import time
from pathlib import Path

import msgspec
import pytest

from router.custom_pages import CustomPages, PageError
from router.table import PAGE_BYTES
from tests.router.process import RouterProcess, route

PAGE = "<h1>Gone fishing · ärger {{code}}</h1>".encode()
OTHER = b"<h1>Oh dear</h1>"


def name_of(page: bytes) -> str:
    return hashlib.sha256(page).hexdigest()


async def put(router: RouterProcess, page: bytes) -> str:
    status, answer = await router.control("PUT", f"/pages/{name_of(page)}", page)
    assert (status, answer) == (200, {"page": name_of(page)})
    return name_of(page)


async def test_browsers_get_it_and_programs_do_not(router: RouterProcess) -> None:
    own, error = await put(router, PAGE), await put(router, OTHER)
    for maintenance, code, page in ((True, "H14", PAGE), (False, "H10", OTHER), (False, "H14", OTHER)):
        shop = route("shop", code=code, maintenance=maintenance)
        await router.publish(msgspec.structs.replace(shop, maintenance_page=own, error_page=error))
        got = await router.get("shop.localhost", "/", "Accept: text/html")
        assert (got.status, got.body, got.header("retry-after")) == (503, page, "30")
        assert got.header("content-type") == "text/html; charset=utf-8"
        head = await router.get("shop.localhost", "/", "Accept: text/html", method="HEAD")
        assert (head.body, head.header("content-length")) == (b"", str(len(page)))
        assert json.loads((await router.get("shop.localhost", "/", "Accept: application/json")).body)["code"]


async def test_a_blank_app_keeps_our_page(router: RouterProcess) -> None:
    await router.publish(msgspec.structs.replace(route("shop", code="H81"), error_page=await put(router, OTHER)))
    assert b"git push heroku main" in (await router.get("shop.localhost")).body


async def test_a_page_that_is_missing_is_replaced_by_ours(router: RouterProcess) -> None:
    shop = route("shop", maintenance=True)
    await router.publish(msgspec.structs.replace(shop, maintenance_page="0" * 64))
    got = await router.get("shop.localhost")
    assert got.status == 503 and b"Back in a little while" in got.body


async def test_it_survives_a_restart_and_is_on_every_worker(tmp_path: Path) -> None:
    router = RouterProcess(tmp_path / "router", "--workers", "2")
    router.start()
    try:
        shop = route("shop", maintenance=True)
        await router.publish(msgspec.structs.replace(shop, maintenance_page=await put(router, PAGE)))
        router.stop()
        router.start()
        assert {(await router.get("shop.localhost")).body for _ in range(12)} == {PAGE}
        assert (await router.control("GET", "/pages"))[1] == {"pages": [name_of(PAGE)]}
    finally:
        router.stop()


async def test_what_is_not_a_page_is_refused(router: RouterProcess) -> None:
    for page, body in (("0" * 64, PAGE), ("../x", PAGE), (name_of(b"x" * (PAGE_BYTES + 1)), b"x" * (PAGE_BYTES + 1))):
        status, answer = await router.control("PUT", f"/pages/{page.replace('/', '%2f')}", body)
        assert status == 400 and answer["message"].endswith(".")


def test_only_what_is_named_is_kept(tmp_path: Path) -> None:
    pages = CustomPages(tmp_path)
    assert pages.known() == [] and pages.get("0" * 64) is None and pages.get("../../etc/passwd") is None
    old, fresh, named = b"old", b"fresh", b"named"
    for body in (old, fresh, named):
        pages.put(name_of(body), body)
    long_ago = time.time() - 3600
    for body in (old, named):
        os.utime(tmp_path / "pages" / name_of(body), (long_ago, long_ago))
    pages.keep(frozenset((name_of(named),)))
    assert set(pages.known()) == {name_of(fresh), name_of(named)}
    (tmp_path / "pages" / name_of(named)).write_bytes(b"tampered with")
    assert pages.get(name_of(named)) is None
    with pytest.raises(PageError):
        pages.put("0" * 64, b"x")
