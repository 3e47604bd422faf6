"""S12: no locked package with a known vulnerability, no unsafe code, no secret in the repository. `make audit`."""

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import ROOT

AUDIT = ROOT / ".tools" / "audit" / "bin"
TITLE = "locked packages with known vulnerabilities, unsafe code, secrets in the repository"
LOCKS = ("requirements.lock", "requirements-dev.lock")
WAIVERS: dict[str, tuple[date, str]] = {}  # an advisory: until when, and why it can't hurt
SCANNED = ("paasd", "router", "deploy", "bench", "docs", "README.md")
# What looks like a secret and is none: file and kind.
NO_SECRETS = {
    ("docs/logs.md", "Basic Auth Credentials"): "an example of an URL",
    ("docs/logs.md", "Secret Keyword"): "an example",
    ("paasd/api/platform-api.json", "Private Key"): "Heroku's schema has an example of a certificate",
    ("paasd/api/webhooks.py", "Secret Keyword"): "the name of a header",
    ("paasd/services/access.py", "Secret Keyword"): "the hash of no password, so that a wrong name takes as long",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AUDIT.exists(), reason="its tools are not installed (make audit)"),
]

Record = Callable[[str, object], None]


def run(tool: str, *arguments: str, codes: tuple[int, ...] = (0, 1)) -> Any:
    """What it prints, as JSON. A tool that could not do its work ends with another code, or prints none."""
    done = subprocess.run([str(AUDIT / tool), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode in codes, done.stderr
    return json.loads(done.stdout)


@pytest.mark.row("S12", TITLE)
@pytest.mark.parametrize("lock", LOCKS)
def test_no_locked_package_has_a_known_vulnerability(lock: str, record_property: Record) -> None:
    """Bites: with an old aiohttp in the lock, where the package index knows the advisories."""
    found = run("pip-audit", "-r", lock, "--require-hashes", "--disable-pip", "-f", "json", "--progress-spinner", "off")
    packages = found["dependencies"]
    assert len(packages) > 20
    asked = [package for package in packages if "skip_reason" not in package]
    record_property(f"{Path(lock).stem}", f"{len(asked)} of {len(packages)} packages known to the index")
    today = date.today()
    waived = {advisory for advisory, (until, _) in WAIVERS.items() if today <= until}
    vulnerable = [
        (package["name"], package["version"], each["id"])
        for package in asked
        for each in package["vulns"]
        if not {each["id"], *each["aliases"]} & waived
    ]
    assert vulnerable == []
    if not asked:
        pytest.skip("the package index that is asked here tells of no advisories")


@pytest.mark.row("S12", TITLE)
def test_unsafe_code_is_none_or_says_why_it_is_safe(record_property: Record) -> None:
    """Bites: with `yaml.load` in the place of `yaml.safe_load` in the settings."""
    found = run("bandit", "-q", "-r", "paasd", "router", "-ll", "-f", "json")
    assert found["errors"] == []
    results = found["results"]
    assert [result for result in results if result["issue_severity"] == "HIGH"] == []
    unsaid = [
        f"{result['filename']}:{result['line_number']} {result['test_id']} {result['issue_text']}"
        for result in results
        if not any("# noqa: S" in line for line in result["code"].splitlines())
    ]
    assert unsaid == []
    record_property("high", 0)
    record_property("medium_reviewed", len(results))


@pytest.mark.row("S12", TITLE)
def test_the_repository_has_no_secret(tmp_path: Path) -> None:
    """Bites by itself: a key planted in a file is found."""
    planted = tmp_path / "planted.py"
    planted.write_text('key = "AKIA' + 'IOSFODNN7QRSTUVW"\n')
    assert run("detect-secrets", "-C", str(tmp_path), "scan", "--all-files")["results"]
    found = run("detect-secrets", "scan", *SCANNED)["results"]
    secrets = {(file, each["type"]) for file, entries in found.items() for each in entries}
    assert secrets <= NO_SECRETS.keys(), secrets - NO_SECRETS.keys()
