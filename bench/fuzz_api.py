"""`make fuzz-api`: schemathesis, all its checks and phases, over what a daemon says it serves: no server error, no
answer that its own description does not allow, no call open to a stranger, nothing to be had after it was deleted.

The daemon is one of its own, with a deployed app that the requests of the first round are about, and one of whatever
belongs to an app, so that requests that name one find it. The last round follows the description's links instead, from
what it made itself, and deletes it too.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bench.idle import family, memory
from bench.page import title, verdict
from paasd.api import absent, databases
from paasd.api.openapi import operations, published
from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import ROOT, Daemon, running_alone, wait_until
from tests.paasd.api.api_page import all_routes

PROGRAM = ROOT / ".tools" / "schemathesis" / "bin" / "st"
SETTINGS = {
    "web": {"allow_private": ["127.0.0.9/32"]},
    "deploy": {"grace": 1.0, "drain": 1.0},
    "guess_limit": 1_000_000,  # each call is tried with a wrong token
}
AWAY = "127.0.0.9:9"  # where nobody listens: what is sent there is tried and not received
ALONE = ("--phases", "examples,coverage,fuzzing", "--exclude-method", "DELETE")
DELETES = ("--phases", "coverage,fuzzing", "--include-method", "DELETE")
LINKED = ("--phases", "stateful", "--max-time", "60")
# What no schema can say (which names there are, which fields go together) is told by 422, and requests are taken more
# loosely than Heroku's schema has them, as its clients need it.
RULES = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]
[checks.negative_data_rejection]
expected-statuses = ["2xx", "400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429", "5xx"]
"""
# A call that is refused with what to do instead (422) is not in the description: there 405 and Allow are not to be had.
REFUSED = """
[[operations]]
include-path = {path}
phases.coverage.unexpected-methods = ["trace"]
"""
# What has to be right for anything to be made, most of the time.
WORDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "/apps": {"region": ("us", "eu"), "stack": ("heroku-24", "container")},
    "/apps/{app}": {"build_stack": ("heroku-24", "container")},
    "/apps/{app}/collaborators": {"user": ("bob@example.org", "ann@example.org")},
    "/apps/{app}/domains": {"hostname": ("a.example.org", "b.example.org", "*.example.net")},
    "/apps/{app}/dynos": {"command": ("true", "sleep 1"), "size": ("Standard-1X",), "type": ("run",)},
    "/apps/{app}/log-drains": {"url": (f"syslog://{AWAY}", f"https://{AWAY}/logs")},
    "/apps/{app}/webhooks": {"url": (f"https://{AWAY}/hook",), "include[*]": ("api:app", "api:release")},
}
# DELETE of these restarts what it names.
RESTARTED = """
[[operations]]
include-path-regex = "/(dynos|formations)/"
checks.use_after_free.enabled = false
"""
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


def configuration(named: Mapping[str, str]) -> str:
    """schemathesis.toml. `named`: values of the paths' parameters."""
    lines = ["[headers]", 'Authorization = "Bearer ${HEROKU_API_KEY}"', "[parameters]"]
    lines += [f'"path.{name}" = {json.dumps(value)}' for name, value in named.items()]
    routes = [route for route in (*absent.ROUTES, *databases.ROUTES) if isinstance(route, web.RouteDef)]
    refused = {route.path for route in routes if route.handler in (*absent.REFUSALS, databases.refuse)}
    words = []
    for path, fields in WORDS.items():
        bound = []
        for name, values in fields.items():
            dictionary = re.sub(r"\W+", "-", f"{path}-{name}").strip("-")
            words.append(f"[dictionaries.{dictionary}]\nvalues = {json.dumps(list(values))}\n")
            bound.append(f'"body.{name}" = {{dictionary = "{dictionary}", probability = 0.9}}')
        words.append(f"[[operations]]\ninclude-path = {json.dumps(path)}\nparameters = {{{', '.join(bound)}}}\n")
    described = {operation.path for operation in operations(all_routes(), published())}
    return "\n".join(
        [
            *lines,
            RULES,
            RESTARTED,
            *words,
            *(REFUSED.format(path=json.dumps(path)) for path in sorted(refused & described)),
        ]
    )


def fuzz(
    daemon: Daemon, shop: Shop, named: Mapping[str, str], examples: int, directory: Path, phases: Sequence[str] = ALONE
) -> Fuzzed:
    """So many requests an operation, at most (of a GET without parameters there is one), or chains of them (LINKED)."""
    assert daemon.process is not None
    router = int(daemon.call("GET", "/paasd/router")[1]["pid"])
    before = memory(family(daemon.process.pid, router)).rss
    (directory / "schemathesis.toml").write_text(configuration(named))
    command = [str(PROGRAM), "run", f"{daemon.url}/openapi.json", *phases]  # all checks are on
    command += ["--max-examples", str(examples), "--exclude-path-regex", SPARED, "--continue-on-failure"]
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


@contextmanager
def opened() -> Iterator[tuple[Daemon, Shop, Mapping[str, str], Path]]:
    """A daemon of its own, an app on it, what is in it by the parameters of paths, and a folder for what is written."""
    with tempfile.TemporaryDirectory(prefix="paasd-bench-") as name, running_alone(SETTINGS) as daemon:
        yield daemon, *open_app(daemon, Path(name)), Path(name)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz-api")
    parser.add_argument("--examples", type=int, default=50, help="requests an operation (50)")
    given = parser.parse_args()
    with opened() as (daemon, shop, named, directory):
        fuzz(daemon, shop, named, 2, directory)  # what is loaded once is no growth
        alone = fuzz(daemon, shop, named, given.examples, directory)
        nothing = fuzz(daemon, shop, {}, given.examples, directory, DELETES)
        linked = fuzz(daemon, shop, {}, given.examples, directory, LINKED)
    met = True
    rounds = (
        (alone, f"{given.examples} at most an operation"),
        (nothing, "to delete what there is not"),
        (linked, "in chains that links lead along, for a minute"),
    )
    for seen, words in rounds:
        print(seen.said)
        title(f"{seen.requests} requests, {words}")
        met &= verdict(seen.passed and seen.requests > 0, "every check of schemathesis")
        met &= verdict(not seen.tracebacks, f"{seen.tracebacks} unexpected errors in the daemon's log")
        met &= verdict(seen.after < GROWTH * seen.before, f"memory {seen.before:.0f} to {seen.after:.0f} MiB")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
