"""Answers with what it knows of its own release. GET / and /slow?ms=N; POST / says how much it was sent."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

IDLE_SECONDS = 95  # longer than the router keeps an idle connection: it is never the app that hangs up first
LAST_ANSWERS_SECONDS = 25  # of the 30 between SIGTERM and SIGKILL
LONGEST_SLEEP_MS = 60_000
SELF = {
    "app": os.environ.get("HEROKU_APP_NAME", "hello"),
    "release": os.environ.get("HEROKU_RELEASE_VERSION", "local"),
    "commit": os.environ.get("HEROKU_SLUG_COMMIT", ""),
    "created_at": os.environ.get("HEROKU_RELEASE_CREATED_AT", ""),
    "dyno": os.environ.get("DYNO", ""),
    "greeting": os.environ.get("GREETING", ""),
}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self):
        self.body_length()
        path, _, query = self.path.partition("?")
        if path == "/slow":
            time.sleep(milliseconds(query) / 1000)
        elif path not in ("/", "/health"):
            return self.answer(404, {"error": "There is nothing here: try / or /slow?ms=500."})
        self.answer(200, SELF)

    do_HEAD = do_GET

    def do_POST(self):
        self.answer(200, {**SELF, "received": self.body_length()})

    def body_length(self):
        """Reads the body, whole or in chunks, and keeps nothing of it."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            total = 0
            while size := int(self.rfile.readline(64).split(b";")[0] or b"0", 16):
                total += self.skip(size)
                self.rfile.readline(8)
            while self.rfile.readline(8192).strip():
                pass
            return total
        return self.skip(int(self.headers.get("Content-Length") or 0))

    def skip(self, size):
        left = size
        while left > 0 and (part := self.rfile.read(min(left, 65536))):
            left -= len(part)
        return size - left

    def answer(self, status, content):
        body = json.dumps(content).encode() + b"\n"
        if self.server.stopping:
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        with self.server.in_flight:
            if not self.parse_request():
                return
            method = getattr(self, "do_" + self.command, None)
            if method is None:
                self.close_connection = True
                return self.answer(405, {"error": f"{self.command} is not for this app: use GET or POST."})
            method()
            self.wfile.flush()

    def log_message(self, format, *args):
        """Silent: the router logs every request."""


class InFlight:
    """Counts the requests being answered, so that the last ones get their answer before the process ends."""

    def __init__(self):
        self.count = 0
        self.changed = Condition()

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *error):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def await_none(self, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: self.count == 0, seconds)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    stopping = False
    in_flight = InFlight()

    def server_bind(self):  # without the name look-up of the original
        self.socket.setsockopt(1, 2, 1)  # SOL_SOCKET, SO_REUSEADDR
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def milliseconds(query):
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "ms" and value.isdigit():
            return min(int(value), LONGEST_SLEEP_MS)
    return 0


def main():
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Answers)

    def stop(signum, frame):
        server.stopping = True
        Thread(target=server.shutdown).start()  # it waits for the loop that this handler interrupts

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"hello {SELF['release']} listens on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.in_flight.await_none(LAST_ANSWERS_SECONDS)
    print("hello ends: every request that had begun is answered", flush=True)


if __name__ == "__main__":
    main()
