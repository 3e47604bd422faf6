"""The form of an error."""

from __future__ import annotations

import pytest

from paasd.cli.errors import ApiError, print_warning


def test_an_error_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    ApiError(404, "not_found", "Couldn't find\nthat app.", app="shop", url="http://x/help").show()
    assert capsys.readouterr().err == (
        " ›   Error: Couldn't find\n ›   that app.\n"
        " ›\n ›   App: shop\n ›   See http://x/help\n ›   Error ID: not_found\n"
    )


def test_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    print_warning("a\x1b[2J")
    assert capsys.readouterr().err == " ›   Warning: a?[2J\n"
