"""`make fuzz-api`: schemathesis over what a daemon says it serves: no server error, no answer that its own description
does not allow. The daemon is one of its own, with a deployed app that the requests are about.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import ROOT, running

PROGRAM = ROOT / ".tools" / "schemathesis" / "bin" / "st"
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
SPARED = r"^/paasd/router/|^/oauth/authorizations/\{"  # they end the router, or the token that the run is made with
CONFIG = """[headers]
Authorization = "Bearer ${HEROKU_API_KEY}"
[parameters]
"path.app" = "fuzzed"
"path.user" = "~"
"path.release" = "2"
"path.dyno" = "web.1"
"path.type" = "web"
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz-api")
    parser.add_argument("--examples", type=int, default=50, help="requests an operation (50)")
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root) as daemon:
            shop: Shop = open_shop(daemon, root / "user", "fuzzed", HELLO)
            shop.deploy()
            (root / "schemathesis.toml").write_text(CONFIG)
            command = [str(PROGRAM), "run", f"{daemon.url}/openapi.json"]
            command += ["--max-examples", str(given.examples), "--phases", "fuzzing", "--checks", CHECKS]
            command += ["--exclude-path-regex", SPARED, "--exclude-method", "DELETE", "--continue-on-failure"]
            return subprocess.run(command, cwd=root, env=shop.shell.environment(), check=False).returncode
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
