"""The proxies that bench/router.py compares, each on its own port before the same upstream, all on one core."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from router.table import Route, RoutingTable, Target, encode

PROXY_CORE, LOAD_CORE = 0, 1
HOST = "shop.localhost"


@dataclass
class Contender:
    """One running proxy: its name, where it listens, and its processes."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    tables: int = field(default=0)

    def pids(self) -> list[int]:
        """The process and all below it."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                queue += [int(child) for child in task.read_text().split()]
        return found

    def cpu(self) -> float:
        """Seconds of processor time so far, of all its processes and threads."""
        total = 0
        for pid in self.pids():
            for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(stat.read_text().split()[0])
        return total / 1e9

    def memory(self) -> float:
        """Megabytes that are its own."""
        kilobytes = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_Dirty:"):
                    kilobytes += int(line.split()[1])
        return kilobytes / 1024

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def spawn(command: list[str], core: int, **more: str) -> subprocess.Popen[bytes]:
    """Start a command on one core, quietly."""
    return subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **more},
    )  # fmt: skip


def wait_for(port: int) -> None:
    """Return once something listens there."""
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def start_all(folder: Path, upstream: int, wanted: list[str], running: list[Contender]) -> list[str]:
    """Put all proxies that are installed into `running`; a sentence for each that is not."""
    starters = {"router": _router, "nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy, "naive": _naive}
    missing = []
    for name, start in starters.items():
        if wanted and name not in wanted:
            continue
        if name in ("nginx", "haproxy", "caddy") and shutil.which(name) is None:
            missing.append(f"{name} is left out: it is not installed (apt-get install {name}).")
            continue
        own = folder / name
        own.mkdir(mode=0o755)
        contender = start(own, upstream)
        running.append(contender)
        wait_for(contender.port)
    return missing


def publish(contender: Contender, upstream: int, apps: int = 1) -> None:
    """Give our router a table with the app under test and `apps` - 1 others."""
    contender.tables += 1
    routes = tuple(
        Route(f"id-{n}", f"app{n}", (HOST if n == 0 else f"app{n}.localhost",),
              (Target(f"id-{n}", 1, "web.1", "127.0.0.1", upstream),))
        for n in range(apps)
    )  # fmt: skip
    status, answer = control(contender, "PUT", "/table", encode(RoutingTable(contender.tables, routes)))
    assert status == 200, answer


def control(contender: Contender, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request to our router's control socket."""
    connection = http.client.HTTPConnection("router")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(contender.folder / "r" / "control.sock"))
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def lane_hits(contender: Contender) -> tuple[float, float]:
    """Requests that took our router's fast lane, and all that it has logged."""
    text = control(contender, "GET", "/metrics")[1].decode()

    def total(name: str) -> float:
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    return total("paasd_router_lane_hits_total"), total("paasd_router_requests_total")


def _router(folder: Path, upstream: int) -> Contender:
    port = free_port()
    command = [sys.executable, "-m", "router", "--listen", f"127.0.0.1:{port}", "--router-dir", str(folder / "r")]
    command += ["--log", str(folder / "access.log")]
    contender = Contender("router", port, spawn(command, PROXY_CORE), folder)
    deadline = time.monotonic() + 15
    while True:
        try:
            assert json.loads(control(contender, "GET", "/health")[1])["status"] == "ok"
            break
        except OSError:
            if contender.process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    publish(contender, upstream)
    return contender


def _naive(folder: Path, upstream: int) -> Contender:
    port = free_port()
    command = [sys.executable, "-m", "bench.naive_proxy", "--port", str(port)]
    return Contender("naive", port, spawn([*command, "--upstream", f"http://127.0.0.1:{upstream}"], PROXY_CORE), folder)


def _nginx(folder: Path, upstream: int) -> Contender:
    port = free_port()
    config = f"""
worker_processes 1; daemon off; error_log /dev/null; pid {folder}/pid; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000; proxy_buffers 8 64k; proxy_buffer_size 64k;
  proxy_busy_buffers_size 128k; proxy_request_buffering off; client_body_buffer_size 64k;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Id $request_id; proxy_set_header X-Request-Start $msec;
      proxy_set_header Via "1.1 nginx"; add_header Via "1.1 nginx"; proxy_read_timeout 300s;
    }}
  }}
}}
"""
    (folder / "nginx.conf").write_text(config)
    return Contender("nginx", port, spawn(["nginx", "-c", str(folder / "nginx.conf")], PROXY_CORE), folder)


def _haproxy(folder: Path, upstream: int) -> Contender:
    port = free_port()
    config = f"""
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  option forwardfor
  unique-id-format %{{+X}}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  http-request set-header X-Request-Id %[unique-id]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port {port}
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header X-Request-Start %[date(0,ms)]
  http-request set-header Via "1.1 haproxy"
  http-response set-header Via "1.1 haproxy"
  default_backend app
backend app
  server one 127.0.0.1:{upstream} pool-max-conn 128
"""
    (folder / "haproxy.cfg").write_text(config)
    return Contender("haproxy", port, spawn(["haproxy", "-f", str(folder / "haproxy.cfg")], PROXY_CORE), folder)


def _caddy(folder: Path, upstream: int) -> Contender:
    port = free_port()
    config = f"""
{{
  admin off
  auto_https off
}}
http://:{port} {{
  reverse_proxy 127.0.0.1:{upstream} {{
    header_up X-Request-Id {{http.request.uuid}}
    header_up X-Forwarded-Port {port}
    header_up X-Request-Start {{time.now.unix_ms}}
    header_up Via "1.1 caddy"
    header_down Via "1.1 caddy"
    transport http {{
      keepalive_idle_conns_per_host 128
    }}
  }}
}}
"""
    (folder / "Caddyfile").write_text(config)
    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    home = {"GOMAXPROCS": "1", "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return Contender("caddy", port, spawn(command, PROXY_CORE, **home), folder)
