"""The stores and the engines that their contracts run over."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from paasd.adapters.store import SqlStore
from paasd.domain.access import Account
from paasd.domain.app import App
from paasd.ports import Store
from tests.contracts.engines import BARE, ENGINES, PROCESS, Bench
from tests.contracts.fake_bench import fake_bench
from tests.contracts.ledger import add_account, add_app


def sqlite_store(template: Path, directory: Path) -> Store:
    shutil.copy(template, directory / "store.db")
    return SqlStore(directory / "store.db", directory / "key")


STORES: dict[str, Callable[[Path, Path], Store]] = {"sqlite": sqlite_store}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> AsyncIterator[Store]:
    """An open store, empty."""
    async with STORES[request.param](migrated, tmp_path) as opened:
        yield opened


@pytest.fixture
async def account(store: Store) -> Account:
    """Ann's."""
    return await add_account(store, "ann@example.org")


@pytest.fixture
async def app(store: Store, account: Account) -> App:
    """Ann's app `shop`, at v1."""
    return await add_app(store, account, "shop")


@pytest.fixture(
    params=[
        "fake",
        PROCESS,
        BARE,
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def bench(engine_kind: str) -> AsyncIterator[Bench]:
    async with asyncio.timeout(120), {**ENGINES, "fake": fake_bench}[engine_kind]() as bench:
        yield bench
