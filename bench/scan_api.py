"""`make scan-api`: wapiti over the API that a daemon describes, with a token, and over its login page: what web servers
are usually open to (injection, traversal, cross-site scripting, headers that are missing), no server error on the way.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fuzz_api import GROWTH, opened
from bench.idle import family, memory
from bench.page import title, verdict
from tests.acceptance.shop import Shop
from tests.daemon import ROOT, Daemon

PROGRAM = ROOT / ".tools" / "wapiti" / "bin" / "wapiti"
# Those that ask a server of wapiti's authors whether they got through, or guess passwords and names from lists, are not
# among them: `ssrf`, `xxe`, `log4shell`, `spring4shell`, `buster`, `brute_login_form`, `cms`, `wapp`.
MODULES = (
    *("backup", "cookieflags", "crlf", "csp", "csrf", "exec", "file", "htaccess", "http_headers", "ldap"),
    *("methods", "permanentxss", "redirect", "sql", "timesql", "upload", "xss"),
)
# The login page's own address is what wapiti misses: 128 random bits that only whoever began the login has; and a form
# that another site sends is refused for its Origin.
KNOWN = {"Cross Site Request Forgery": "/auth/browser/"}
STOPS = ("/paasd/router/stop", "/paasd/router/upgrade", "/oauth/authorizations/")  # as in fuzz_api


@dataclass(frozen=True)
class Scanned:
    """What a run found: vulnerabilities and anomalies by their kind, tracebacks in the daemon's log; memory in MiB."""

    pages: int
    found: Mapping[str, Sequence[Mapping[str, Any]]]
    tracebacks: int
    before: float
    after: float

    @property
    def clean(self) -> bool:
        return not self.found and not self.tracebacks and self.pages > 0 and self.after < GROWTH * self.before


def scan(daemon: Daemon, shop: Shop, named: Mapping[str, str], directory: Path, seconds: float) -> Scanned:
    """So many seconds a module, at most. The description that wapiti is given has our values in its paths."""
    assert daemon.process is not None
    router = int(daemon.call("GET", "/paasd/router")[1]["pid"])
    before = memory(family(daemon.process.pid, router)).rss
    described = daemon.call("GET", "/openapi.json")[1]
    described["servers"] = [{"url": daemon.url}]
    described["paths"] = {
        filled(path, named): {method: described for method, described in methods.items() if method != "delete"}
        for path, methods in described["paths"].items()
        if not path.startswith(STOPS)
    }
    (directory / "openapi.json").write_text(json.dumps(described))
    login = daemon.call("POST", "/auth", {"description": "a scan"})[1]["browser_url"]
    report = directory / "report.json"
    command = [str(PROGRAM), "--url", f"{daemon.url}/", "--start", f"{daemon.url}{login}", "--scope", "domain"]
    command += ["--swagger", str(directory / "openapi.json"), "--module", ",".join(MODULES), "--level", "2"]
    command += ["--header", f"Authorization: Bearer {shop.daemon.token}", "--max-attack-time", str(seconds)]
    command += ["--store-session", str(directory), "--store-config", str(directory), "--flush-session"]
    command += ["--format", "json", "--output", str(report), "--no-bugreport", "--verbose", "1"]
    subprocess.run(command, cwd=directory, env=shop.shell.environment(), check=True, stdout=subprocess.DEVNULL)
    said = json.loads(report.read_text())
    found = {
        kind: unknown
        for part in ("vulnerabilities", "anomalies")
        for kind, each in said[part].items()
        if (unknown := [one for one in each if kind not in KNOWN or not one["path"].startswith(KNOWN[kind])])
    }
    return Scanned(
        pages=int(said["infos"]["crawled_pages_nbr"]),
        found=found,
        tracebacks=daemon.log.read_text().count("Traceback (most recent call last)"),
        before=before,
        after=memory(family(daemon.process.pid, router)).rss,
    )


def filled(path: str, named: Mapping[str, str]) -> str:
    """A path with values for its parameters, where we have them."""
    for name, value in named.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="make scan-api")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each of wapiti's modules, at most (60)")
    given = parser.parse_args()
    with opened() as (daemon, shop, named, directory):
        (directory / "first").mkdir()
        scan(daemon, shop, named, directory / "first", 3)  # what is loaded once is no growth
        seen = scan(daemon, shop, named, directory, given.seconds)
    title(f"{seen.pages} addresses, each tried by {len(MODULES)} modules")
    for kind, each in seen.found.items():
        print(f"  {kind}: {len(each)}")
        for one in each[:5]:
            print(f"    {one['method']} {one['path']} {one['parameter']}: {one['info']}")
    met = verdict(not seen.found and seen.pages > 0, "nothing found")
    met &= verdict(not seen.tracebacks, f"{seen.tracebacks} unexpected errors in the daemon's log")
    met &= verdict(seen.after < GROWTH * seen.before, f"memory {seen.before:.0f} to {seen.after:.0f} MiB")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
