"""`make fuzz-api`: schemathesis over what a daemon says it serves: no server error, no answer that its own description
does not allow. The daemon is one of its own, with a deployed app that the requests are about, and one of whatever
belongs to an app, so that requests that name one find it.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.idle import family, memory
from bench.page import title, verdict
from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import ROOT, Daemon, running_alone, wait_until

PROGRAM = ROOT / ".tools" / "schemathesis" / "bin" / "st"
SETTINGS = {"web": {"allow_private": ["127.0.0.9/32"]}, "deploy": {"grace": 1.0, "drain": 1.0}}
AWAY = "127.0.0.9:9"  # where nobody listens: what is sent there is tried and not received
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
SPARED = r"^/paasd/router/|^/oauth/authorizations/\{"  # they end the router, or the token that the run is made with
FINDS = re.compile(r"(\d+) generated")
GROWTH = 1.2  # of the daemon's memory, after a first short round


@dataclass(frozen=True)
class Fuzzed:
    """What a run showed. `said` is schemathesis' own report; memory in MiB."""

    passed: bool
    requests: int
    said: str
    before: float
    after: float
    tracebacks: int  # in the daemon's log

    @property
    def clean(self) -> bool:
        """Whether all that was asked was answered as it should be."""
        return self.passed and self.requests > 0 and not self.tracebacks and self.after < GROWTH * self.before


def open_app(daemon: Daemon, directory: Path) -> tuple[Shop, Mapping[str, str]]:
    """A deployed app, and what there is to name in a path."""
    shop = open_shop(daemon, directory / "user", "fuzzed", HELLO)
    shop.deploy()
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)

    def made(path: str, body: object) -> str:
        status, answer = daemon.call("POST", path, body)
        assert status in (200, 201), answer
        return str(answer["id"])

    app = str(shop.call("GET")[1]["id"])
    named = {
        "app": app,  # not its name, which a request may change
        "key": made("/account/keys", {"public_key": key.with_suffix(".pub").read_text().strip()}),
        "account": made("/paasd/accounts", {"email": "bob@example.org"}),
        "collaborator": made(f"/apps/{app}/collaborators", {"user": "bob@example.org"}),
        "drain": made(f"/apps/{app}/log-drains", {"url": f"syslog://{AWAY}"}),
        "webhook": made(f"/apps/{app}/webhooks", _hook()),
        "domain": made(f"/apps/{app}/domains", {"hostname": "www.example.org", "sni_endpoint": None}),
        "build": str(next(iter(shop.builds()))),
        "slug": str(shop.call("GET", "/releases/2")[1]["slug"]["id"]),
    }
    wait_until(lambda: shop.call("GET", "/webhook-deliveries")[1], 60, "no event was told of")
    named["delivery"] = str(shop.call("GET", "/webhook-deliveries")[1][0]["id"])
    named["event"] = str(shop.call("GET", "/webhook-events")[1][0]["id"])
    constant = {"user": "~", "release": "2", "dyno": "web.1", "type": "web", "feature": "preboot"}
    return shop, {**named, **constant, "region": "local", "stack": "paasd-bookworm", "size": "Standard-1X"}


def _hook() -> dict[str, object]:
    return {"include": ["api:domain"], "level": "notify", "url": f"https://{AWAY}/hook"}


def fuzz(daemon: Daemon, shop: Shop, named: Mapping[str, str], examples: int, directory: Path) -> Fuzzed:
    """So many requests an operation, at most: of a GET without parameters there is one."""
    assert daemon.process is not None
    router = int(daemon.call("GET", "/paasd/router")[1]["pid"])
    before = memory(family(daemon.process.pid, router)).rss
    lines = ["[headers]", 'Authorization = "Bearer ${HEROKU_API_KEY}"', "[parameters]"]
    lines += [f'"path.{name}" = {json.dumps(value)}' for name, value in named.items()]
    (directory / "schemathesis.toml").write_text("\n".join(lines) + "\n")
    command = [str(PROGRAM), "run", f"{daemon.url}/openapi.json"]
    command += ["--max-examples", str(examples), "--phases", "fuzzing", "--checks", CHECKS]
    command += ["--exclude-path-regex", SPARED, "--exclude-method", "DELETE", "--continue-on-failure"]
    done = subprocess.run(
        command, cwd=directory, env=shop.shell.environment(), capture_output=True, text=True, check=False
    )
    found = FINDS.search(done.stdout)
    return Fuzzed(
        passed=done.returncode == 0,
        requests=int(found[1]) if found else 0,
        said=done.stdout + done.stderr,
        before=before,
        after=memory(family(daemon.process.pid, router)).rss,
        tracebacks=daemon.log.read_text().count("Traceback (most recent call last)"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz-api")
    parser.add_argument("--examples", type=int, default=50, help="requests an operation (50)")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="paasd-fuzz-"))
    try:
        with running_alone(SETTINGS) as daemon:
            shop, named = open_app(daemon, directory)
            fuzz(daemon, shop, named, 2, directory)  # what is loaded once is no growth
            seen = fuzz(daemon, shop, named, given.examples, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(seen.said)
    title(f"{seen.requests} requests, {given.examples} at most an operation")
    met = verdict(seen.passed and seen.requests > 0, "no server error, no answer beside the description")
    met &= verdict(not seen.tracebacks, f"{seen.tracebacks} unexpected errors in the daemon's log")
    met &= verdict(seen.after < GROWTH * seen.before, f"memory {seen.before:.0f} to {seen.after:.0f} MiB")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
