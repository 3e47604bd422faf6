"""S03: a page of somebody else's in a real browser on the machine whose owner it is, and with the owner's token."""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.daemon import Daemon, wait_until
from tests.faults.store_daemon import answers, store_daemon

BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(BROWSER is None, reason="no browser is installed (apt-get install chromium-headless-shell)"),
]

Record = Callable[[str, object], None]
EVIL = "evil.example.org"
SECONDS = 40.0
READS = """
<script>
const token = "{token}", written = JSON.stringify({{name: "hijacked"}});
const as = (type) => ({{"Content-Type": type, Authorization: "Bearer " + token}});
const socket = (url) => new Promise((yes, no) => {{
  const line = new WebSocket(url);
  line.onopen = () => yes("open");
  line.onerror = () => no("refused");
}});
const ways = {{
  read: () => fetch("{api}/apps", {{headers: {{Authorization: "Bearer " + token}}}}),
  write: () => fetch("{api}/apps", {{method: "POST", body: written, headers: as("application/json")}}),
  plain: () => fetch("{api}/apps", {{method: "POST", body: written, headers: as("text/plain")}}),
  nobody: () => fetch("{api}/health"),
  cookies: () => fetch("{api}/apps", {{credentials: "include"}}),
  "by name": () => fetch("{by_name}/apps", {{headers: {{Authorization: "Bearer " + token}}}}),
  "all addresses": () => fetch("{api}/apps".replace("127.0.0.1", "0.0.0.0")),
  "IPv6": () => fetch("{api}/apps".replace("127.0.0.1", "[::1]")),
  websocket: () => socket("{api}/apps".replace("http", "ws")),
  blind: () => fetch("{api}/apps", {{method: "POST", mode: "no-cors", body: written}}),
}};
(async () => {{
  const told = {{}};
  for (const [name, way] of Object.entries(ways)) {{
    try {{
      const answer = await way();
      told[name] = answer.type === "opaque" ? "opaque" : "read " + (answer.status || answer);
    }} catch (error) {{
      told[name] = "refused";
    }}
  }}
  await fetch("/told", {{method: "POST", body: JSON.stringify(told)}});
}})();
</script>
"""
FORM = """
<form method="post" enctype="text/plain" action="{api_as_owner}/apps">
<input name='{{"name": "hijacked", "x": "' value='"}}'></form>
<script>document.forms[0].submit()</script>
"""


@dataclass
class EvilSite:
    """A web server of somebody else's: its pages by path, and what they told it."""

    pages: dict[str, str] = field(default_factory=dict)
    told: list[dict[str, str]] = field(default_factory=list)
    port: int = 0


@contextmanager
def evil_site() -> Iterator[EvilSite]:
    site = EvilSite()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = site.pages.get(self.path, "").encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            site.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def browser_at(url: str) -> Iterator[None]:
    """A fresh one with that page open; the evil name leads to this machine, as its owner may have it do at any time."""
    profile = tempfile.mkdtemp(prefix="paasd-browser-")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--disable-background-networking", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]
    command += ["--remote-debugging-port=0", url]  # so that it stays
    to_nobody = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=to_nobody, stderr=to_nobody, start_new_session=True) as browser:
        try:
            yield
        finally:
            os.killpg(browser.pid, signal.SIGKILL)  # with its children, which write to the profile
            browser.wait(20)
            shutil.rmtree(profile, ignore_errors=True)


def requests(daemon: Daemon) -> list[tuple[str, str, int]]:
    """(method, path, status) of each that the daemon has answered."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", daemon.log.read_text())
    lines = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in text.splitlines() if re.search(r"\brequest  ", line)]
    return [(line["method"], line["path"], int(line["status"])) for line in lines]


@pytest.mark.row("S03", "web pages of others: foreign Host, Origin and forms")
def test_a_page_of_somebody_elses_in_a_browser(record_property: Record) -> None:
    """It reads nothing and writes nothing though it has the token. Bites: the look of `guard` at the Origin left out,
    and what needs no preflight gets to the handlers; at the Host, and the name that leads here is read."""
    with store_daemon() as daemon, evil_site() as site:
        before, since = answers(daemon), len(requests(daemon))
        as_owner = daemon.url.replace("//", f"//x:{daemon.token}@")
        by_name = daemon.url.replace("127.0.0.1", EVIL)
        site.pages = {
            "/": READS.format(api=daemon.url, token=daemon.token, by_name=by_name),
            "/form": FORM.format(api_as_owner=as_owner),
        }
        with browser_at(f"http://{EVIL}:{site.port}/"):
            wait_until(lambda: site.told, SECONDS, "the page did not tell how it went")
        [told] = site.told
        assert told.pop("blind") in ("opaque", "refused")
        assert set(told.values()) == {"refused"}, told
        for path in (f"http://{EVIL}:{site.port}/form", f"{by_name.replace('//', f'//x:{daemon.token}@')}/apps"):
            seen = len(requests(daemon))
            with browser_at(path):
                wait_until(lambda seen=seen: len(requests(daemon)) > seen, SECONDS, f"{path} was not asked for")
        asked = requests(daemon)[since:]
        assert {status for *_, status in asked} == {403}, asked
        assert ("POST", "/apps", 403) in asked and ("OPTIONS", "/apps", 403) in asked
        assert answers(daemon) == before
        record_property("refused", len(asked))
