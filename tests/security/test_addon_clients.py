"""psql gives whoever uses it a shell (`\\!`): what that reaches of this machine is no more than a dyno does."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.adapters.process_firewall import UserFirewall
from paasd.adapters.shared_addons import SharedAddons
from paasd.domain.addon import Kind
from tests.contracts.addon_benches import SEARCH_PATH, require
from tests.contracts.engines import make_home
from tests.contracts.own_postgres import OwnPostgres
from tests.security.test_shared_postgres import new_order

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="clients have users of their own only where paasd is root")
LOOK = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep ^PGPASSWORD="
LOOKS = f"for i in $(seq 40); do {LOOK}; sleep 0.02; done"
KNOCKS = "bash -c 'echo > /dev/tcp/127.0.0.1/{port}' && echo reached || echo kept out"


@asynccontextmanager
async def shared(*, bwrap: bool, api: int | None = None) -> AsyncIterator[SharedAddons]:
    require(Kind.POSTGRESQL)
    with tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        place = await asyncio.to_thread(make_home, name)
        place.chmod(0o711)
        (place / "tmp").mkdir(mode=0o700)
        own = await asyncio.to_thread(OwnPostgres.make, Path(name, "operators"))
        try:
            made = SharedAddons("7e57ab1e", place, own.url, search_path=SEARCH_PATH, bwrap=bwrap)
            made._firewall = UserFirewall("7e57ab1e", (made._users,) if api is not None else (), api)
            async with made as provider:
                yield provider
        finally:
            await asyncio.to_thread(own.stop)


@pytest.mark.parametrize("bwrap", [True, False])
async def test_a_shell_in_psql_sees_no_other_client_s_password(*, bwrap: bool) -> None:
    """Nor that of the role that makes roles. Bites: all clients as nobody, where there is no sandbox."""
    async with shared(bwrap=bwrap) as provider:
        mallory, shop = new_order(), new_order()
        await provider.provision(mallory)
        await provider.provision(shop)
        shell = await provider.tool(mallory, ["psql", "--no-psqlrc", f"--command=\\! {LOOKS}"])

        async def use() -> None:
            while True:
                await provider.condition(shop)

        using = asyncio.ensure_future(use())
        said = b"".join([chunk async for chunk in shell.output()]).decode()
        await shell.close()
        using.cancel()
        await asyncio.wait([using])
    assert set(said.split()) <= {f"PGPASSWORD={mallory.secret}"}


@pytest.mark.skipif(shutil.which("iptables") is None, reason="iptables is not installed (apt-get install iptables)")
@pytest.mark.parametrize("bwrap", [True, False])
async def test_a_shell_in_psql_reaches_neither_the_api_nor_the_cloud_s_credentials(*, bwrap: bool) -> None:
    """Whatever runs the dynos. Bites: `tool` without its firewall, or clients that are nobody."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    async with server, shared(bwrap=bwrap, api=port) as provider:
        mallory = new_order()
        await provider.provision(mallory)
        shell = await provider.tool(mallory, ["psql", "--no-psqlrc", f"--command=\\! {KNOCKS.format(port=port)}"])
        said = b"".join([chunk async for chunk in shell.output()]).decode()
        await shell.close()
        assert said.endswith("kept out\n") and "refused" in said
        assert any("169.254.0.0/16" in rule for rule in provider._firewall._rules())
        (users,) = provider._firewall._users
        async with ProcessEngine("7e57ab1e", provider._place, ProcessSettings()) as engine:
            assert any(users[0] in each and users[-1] in each for each in engine._firewall._users)
