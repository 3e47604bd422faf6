"""The three words of a takeover, between a holder in this process and a newcomer in a thread."""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paasd.home import Home, HomeError
from paasd.takeover import Handed, Holder, ask


@pytest.fixture
def path() -> Iterator[Path]:
    """Short: unix sockets allow about 100 characters."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root / "takeover.sock"
    shutil.rmtree(root)


def mode(path: Path) -> int:
    """0 when it is not there."""
    return path.stat().st_mode if path.exists() else 0


async def test_the_sockets_come_over_and_the_holder_lets_go(path: Path) -> None:
    listener, let_go = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    async with Holder(path, "127.0.0.1:5500", lambda: [listener], let_go.set):
        assert mode(path) & 0o077 == 0
        handed = await asyncio.to_thread(ask, path)
        await asyncio.wait_for(let_go.wait(), 5)
    assert mode(path) == 0
    assert handed is not None
    (copy,) = handed.listening_at("127.0.0.1:5500")
    listener.close()
    with socket.create_connection(copy.getsockname(), 5):  # it listens still
        copy.accept()[0].close()
    assert Handed(1, "127.0.0.1:5500", (copy,)).listening_at("127.0.0.1:5501") == ()
    assert copy.fileno() == -1


async def test_a_newcomer_without_its_last_word_changes_nothing(path: Path) -> None:
    """Bites: with `let_go` called whatever was heard."""
    let_go = asyncio.Event()
    async with Holder(path, "127.0.0.1:5500", list, let_go.set):
        reader, writer = await asyncio.open_unix_connection(str(path))
        await reader.read(1)
        writer.close()
        handed = await asyncio.to_thread(ask, path)  # it is there for the next one
        await asyncio.wait_for(let_go.wait(), 5)
    assert handed is not None and handed.sockets == ()


def test_nobody_is_there(path: Path) -> None:
    assert ask(path) is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert ask(path) is None


def test_who_answers_nonsense_is_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        async def meet() -> None:
            asking = asyncio.create_task(asyncio.to_thread(ask, path))
            channel, _ = await asyncio.to_thread(other.accept)
            channel.close()
            with pytest.raises(HomeError, match="goes on as before"):
                await asking

        asyncio.run(meet())


def test_the_hold_on_the_home_is_waited_for(path: Path) -> None:
    home = Home(path.parent)
    with home.held(), pytest.raises(HomeError, match="take over from it with --takeover"), home.held(0.1):
        pass
    with home.held(0.1):
        pass
