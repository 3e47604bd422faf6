"""The daemon's own log: to stderr, as JSON or for people, and never with the values that were at hand."""

import json
import socket
import subprocess
import sys

from tests.daemon import running_alone, wait_until

SCRIPT = """
import logging, sys
import structlog
from paasd.logging import configure
configure(sys.argv[1])
log = structlog.get_logger("x")
log.info("served", app="shop", version=2)
log.debug("not shown")
logging.getLogger("aiohttp.server").warning("a library warns")
logging.getLogger("aiohttp.server").info("a library chats")
def fail():
    canary = "hunter" + "2"
    raise ValueError("broke")
try:
    fail()
except ValueError:
    log.exception("task failed")
"""


def said(form: str) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_json_is_one_object_a_line() -> None:
    lines = [json.loads(line) for line in said("json").splitlines() if line.startswith("{")]
    assert [(line["event"], line["level"]) for line in lines] == [("served", "info"), ("task failed", "error")]
    assert (lines[0]["app"], lines[0]["version"]) == ("shop", 2)
    assert lines[0]["timestamp"].endswith("Z")
    assert lines[1]["exception"][0]["exc_type"] == "ValueError"


def test_console_is_for_people() -> None:
    text = said("console")
    assert "served" in text
    assert "app=shop" in text
    assert "\x1b" not in text  # no colours where nobody looks
    assert "ValueError: broke" in text


def test_libraries_go_the_same_way_and_only_to_warn() -> None:
    for form in ("json", "console"):
        text = said(form)
        assert "a library warns" in text
        assert "a library chats" not in text
        assert "not shown" not in text


def test_what_variables_held_is_never_told() -> None:
    for form in ("json", "console"):
        assert "hunter2" not in said(form), form


BROKEN = b"GET /apps HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer hunter2\x00\r\n\r\n"


def test_a_request_that_is_no_http_is_one_line_without_what_was_sent() -> None:
    """Bites: without the filter the header stands in the log, with its token."""
    with running_alone({"docker": {"host": "unix:///nonexistent/docker.sock"}}) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.api_port), timeout=20) as connection:
            connection.sendall(BROKEN)
            assert connection.recv(100).startswith(b"HTTP/1.0 400")
            while connection.recv(4096):
                pass
        wait_until(lambda: "was not HTTP" in daemon.log.read_text(), 20, "nothing is said")
        log = daemon.log.read_text()
    assert "hunter2" not in log and "Traceback" not in log
    assert "[WARNING] A request from 127.0.0.1 was not HTTP" in log
