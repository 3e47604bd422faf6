"""S10: all that the API says of itself is asked for (`make fuzz-api`), and a scanner let loose (`make scan-api`)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.fuzz_api import DELETES, LINKED, PROGRAM, SETTINGS, fuzz, open_app
from bench.scan_api import PROGRAM as WAPITI
from bench.scan_api import scan
from tests.daemon import running_alone

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

EXAMPLES = 200


@pytest.mark.skipif(not PROGRAM.exists(), reason="schemathesis is not installed (make fuzz-api)")
@pytest.mark.row("S10", "schemathesis over /openapi.json, all checks, 200 requests an operation, then stateful; wapiti")
def test_no_server_error_and_no_answer_beside_the_description(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Bites: answer a release without its `status`, or raise in a handler."""
    with running_alone(SETTINGS) as daemon:
        shop, named = open_app(daemon, tmp_path)
        fuzz(daemon, shop, named, 2, tmp_path)  # what is loaded once is no growth
        alone = fuzz(daemon, shop, named, EXAMPLES, tmp_path)
        others = [fuzz(daemon, shop, {}, EXAMPLES, tmp_path, phases) for phases in (DELETES, LINKED)]
    for seen in (alone, *others):
        assert seen.clean, seen
    record_property("requests", sum(seen.requests for seen in (alone, *others)))
    record_property("grown_mib", round(others[-1].after - alone.before))


@pytest.mark.row("S10", "schemathesis over /openapi.json, all checks, 200 requests an operation, then stateful; wapiti")
@pytest.mark.skipif(not WAPITI.exists(), reason="wapiti is not installed (make scan-api)")
def test_a_scanner_finds_nothing(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Bites: `NOTHING` left out of the API's headers, or a handler that raises."""
    (tmp_path / "first").mkdir()
    with running_alone(SETTINGS) as daemon:
        shop, named = open_app(daemon, tmp_path)
        scan(daemon, shop, named, tmp_path / "first", 3)  # what is loaded once is no growth
        seen = scan(daemon, shop, named, tmp_path, 20)
    assert seen.clean, seen
    record_property("scanned", seen.pages)
