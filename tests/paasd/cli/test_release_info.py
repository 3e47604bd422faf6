"""`releases:info` where there is little to show."""

from __future__ import annotations

import pytest

from paasd.cli import release_info

from .wire import EXTENDED, release


def test_the_first_release(capsys: pytest.CaptureFixture[str]) -> None:
    release_info.show(release(1, "Initial release", eligible_for_rollback=False), {})
    shown = capsys.readouterr().out
    assert "Eligible for Rollback?: No" in shown
    assert "Stages" not in shown
    assert "Changed since" not in shown


def test_a_failure_of_the_release_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Bites: the same words for both: that of an app without one failed, too."""
    release_info.show(release(4, status="failed", output_stream_url="http://127.0.0.1/"), {})
    assert "(release command failed)" in capsys.readouterr().out


def test_a_failure_and_an_empty_difference(capsys: pytest.CaptureFixture[str]) -> None:
    empty: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    diff = {"against": 3, "config": empty, "process_types": empty, "image_changed": False, "commit_changed": False}
    extended = {**EXTENDED, "commit": None, "image": None, "failure": "exit status 1", "diff": diff}
    extended["process_types"] = {"web": None}
    release_info.show(release(4, status="failed", extended=extended), {"A": "1"})
    shown = " ".join(capsys.readouterr().out.split())
    assert "Change: Deploy 9f3c21ab (failed)" in shown
    assert "Failure: exit status 1" in shown
    assert "=== Changed since v3 nothing" in shown
    assert "Process web: (the image's own command)" in shown
    assert "Commit:" not in shown
