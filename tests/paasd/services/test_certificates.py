"""Certificates: issued by a real authority, held by a real router, as the host names of the table want them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from paasd.adapters.local_ca import LocalCa
from paasd.adapters.router_client import RouterClient
from paasd.domain.errors import RouterUnavailable
from paasd.services import certificates
from paasd.services.certificates import Certificates
from tests.router.process import RouterProcess


@pytest.fixture
async def router(tmp_path: Path) -> AsyncIterator[RouterClient]:
    process = RouterProcess(tmp_path / "router")
    process.start()
    async with RouterClient(tmp_path / "router" / "control.sock") as client:
        yield client
    process.stop()


class Table:
    """The host names there are."""

    def __init__(self) -> None:
        self.hosts: frozenset[str] | None = None
        self.changed = asyncio.Event()

    def put(self, *hosts: str) -> None:
        self.hosts = frozenset(hosts)
        self.changed.set()


def service(router: RouterClient, tmp_path: Path, table: Table, ca: str = "ca") -> Certificates:
    return Certificates(router, LocalCa.open(tmp_path / ca), lambda: table.hosts, table.changed)


async def test_one_a_host_name_and_a_default_and_none_of_nobody(router: RouterClient, tmp_path: Path) -> None:
    table = Table()
    own = service(router, tmp_path, table)
    await own.mend()
    assert await router.certificates() == {}  # nothing is known yet
    table.put("shop.localhost", "blog.localhost", "shop.example.org")
    await own.mend()
    first = await router.certificates()
    assert set(first) == {"shop.localhost", "blog.localhost", "localhost"}
    await own.mend()
    assert await router.certificates() == first  # issued once
    table.put("shop.localhost")
    await own.mend()
    assert set(await router.certificates()) == {"shop.localhost", "localhost"}


async def test_what_grows_old_is_renewed(router: RouterClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: with marks that are not read, the first certificate stays for ever."""
    table = Table()
    table.put("shop.localhost")
    own = service(router, tmp_path, table)
    with monkeypatch.context() as patched:
        patched.setattr(certificates, "GOOD_FOR", timedelta(seconds=-1))
        await own.mend()
        old = await router.certificates()
    await own.mend()
    assert set(old.values()).isdisjoint((await router.certificates()).values())


async def test_an_authority_made_anew_signs_all_anew(router: RouterClient, tmp_path: Path) -> None:
    table = Table()
    table.put("shop.localhost")
    await service(router, tmp_path, table).mend()
    old = await router.certificates()
    await service(router, tmp_path, table, "another").mend()
    assert set(old.values()).isdisjoint((await router.certificates()).values())


async def test_kept_as_the_host_names_change(router: RouterClient, tmp_path: Path) -> None:
    table = Table()
    task = asyncio.get_running_loop().create_task(service(router, tmp_path, table).keep())
    try:
        for hosts in (["shop.localhost"], ["shop.localhost", "blog.localhost"]):
            table.put(*hosts)
            async with asyncio.timeout(10):
                while set(await router.certificates()) != {"localhost", *hosts}:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_a_router_it_says_so(tmp_path: Path) -> None:
    table = Table()
    table.put("shop.localhost")
    async with RouterClient(tmp_path / "none.sock") as client:
        with pytest.raises(RouterUnavailable):
            await service(client, tmp_path, table).mend()
