"""A world for each test: its own database, socket and client."""

import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from paasd.adapters.store import SqlStore
from paasd.api.server import make_api
from paasd.services.background import Background
from tests.paasd.api.fakes import FakeEngine, FakeRouter
from tests.paasd.api.world import TOKEN, World, make_parts


@pytest.fixture
async def world(tmp_path: Path, migrated: Path) -> AsyncIterator[World]:
    shutil.copy(migrated, tmp_path / "store.db")
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    engine, router, background = FakeEngine(), FakeRouter(), Background()
    async with SqlStore(tmp_path / "store.db", tmp_path / "key") as store:
        parts = make_parts(tmp_path, store, engine, router, background, url)
        owner = await parts.access.ensure_owner("owner@example.org", TOKEN)
        api = make_api(parts)
        runner = web.AppRunner(api, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        async with aiohttp.ClientSession(url) as session:
            yield World(
                store, parts.outputs, engine, router, background, parts.logs, parts.releases, parts, session, owner, api
            )  # fmt: skip
        await runner.cleanup()
        await background.close()
