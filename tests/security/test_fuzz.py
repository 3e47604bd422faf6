"""S10: whatever the API's own description allows is asked for; `make fuzz-api` with 200 requests an operation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.fuzz_api import PROGRAM, SETTINGS, fuzz, open_app
from tests.daemon import running_alone

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PROGRAM.exists(), reason="schemathesis is not installed (make fuzz-api)"),
]

EXAMPLES = 200


@pytest.mark.row("S10", "schemathesis over /openapi.json, 200 requests an operation")
def test_no_server_error_and_no_answer_beside_the_description(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Bites: answer a release without its `status`, or raise in a handler."""
    with running_alone(SETTINGS) as daemon:
        shop, named = open_app(daemon, tmp_path)
        fuzz(daemon, shop, named, 2, tmp_path)  # what is loaded once is no growth
        seen = fuzz(daemon, shop, named, EXAMPLES, tmp_path)
    assert seen.clean, seen
    record_property("requests", seen.requests)
    record_property("grown_mib", round(seen.after - seen.before))
