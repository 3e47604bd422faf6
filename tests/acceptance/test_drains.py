"""Log drains of a real daemon, app and router: every kind of line, over the daemon's death and the receiver's."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import HELLO, PROCFILE, Shop
from tests.daemon import Daemon, running, shell_for, wait_until
from tests.receivers import LogplexReceiver, Receiver, SyslogReceiver, authority

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(240)]


class Loop(threading.Thread):
    """A loop of its own for receivers, beside a test that blocks."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.start()

    def run(self) -> None:
        self.loop.run_forever()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


def test_every_kind_of_line_over_deaths_on_both_sides(
    root: Path, tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bites: kept in memory, `while-dead` is lost with the daemon; with `move_drains` at the end alone, too."""
    context, certificate = authority(root)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls: SyslogReceiver = loop.do(SyslogReceiver(context).up())
    tcp: SyslogReceiver = loop.do(SyslogReceiver().up())
    https: LogplexReceiver = loop.do(LogplexReceiver(context).up())
    receivers: list[SyslogReceiver | LogplexReceiver] = [tls, tcp, https]
    with running(root, config={"web": {"allow_private": ["127.0.0.0/8"]}}) as daemon:
        shop = Shop(daemon, shell_for(daemon, tmp_path, HELLO), "drained").create()
        for receiver in receivers:
            url = receiver.url.replace("https://", "https://ann:s3cret@")
            assert "Successfully added" in shop.shell.run("paas", "drains:add", url, "-a", shop.name)
        shop.deploy({"Procfile": f"release: echo from-the-release\n{PROCFILE}"})
        daemon.get(shop.name, "/of-the-router")
        for text in (
            "from-the-release",
            "Build started by user",
            "/of-the-router",
            "State changed from starting to up",
        ):
            for receiver in receivers:
                _wait(receiver, text)
        processes = {message.process.partition(".")[0] for message in tls.messages}
        assert {"api", "router", "release", "web"} <= processes
        loop.do(tcp.down(reset=True))
        loop.do(https.down())
        daemon.get(shop.name, "/while-away")
        _wait(tls, "/while-away")
        daemon.kill()
        daemon.get(shop.name, "/while-dead")
        daemon.start()
        for revived in (tcp, https):
            loop.do(revived.up())
        daemon.get(shop.name, "/afterwards")
        for receiver in receivers:
            for text in ("/while-away", "/afterwards"):
                _wait(receiver, text)
        assert not any("L10" in text for receiver in receivers for text in receiver.texts)
        listed = shop.shell.run("paas", "drains", "-a", shop.name)
        assert all(receiver.url.split("//")[1] in listed for receiver in receivers)
        for drain in daemon.call("GET", f"/apps/{shop.name}/log-drains")[1]:
            shop.shell.run("paas", "drains:remove", drain["url"], "-a", shop.name)
        assert "s3cret" not in daemon.log.read_text()
        _same_lines(daemon, shop, tls)
    loop.do(tls.down(reset=True))
    loop.do(tcp.down(reset=True))
    loop.do(https.down())


def _wait(receiver: Receiver, text: str) -> None:
    wait_until(lambda: receiver.seen(text), 70, f"{text} did not come: {receiver.texts[-5:]}")


def _same_lines(daemon: Daemon, shop: Shop, receiver: Receiver) -> None:
    """What came is the app's log, from when the drain was added until it was removed."""
    url = daemon.call("POST", f"/apps/{shop.name}/log-sessions", {"lines": 1500})[1]["logplex_url"]
    log = shop.shell.run("curl", "--silent", "--fail", url)
    kept = [line.partition("]: ")[2] for line in log.splitlines()]
    begin = next(number for number, text in enumerate(kept) if text.startswith("Add drain"))
    end = next(number for number, text in enumerate(kept) if text.startswith("Remove drain"))
    assert set(kept[begin:end]) == set(receiver.texts) - {text for text in receiver.texts if text.startswith("Remove")}
