"""git's settings by the environment."""

from __future__ import annotations

import subprocess

import pytest

from paasd.cli.git_config import with_setting, without_setting

OTHER = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ann"}
KEY, VALUE = "http.https://127.0.0.1:5500/.sslcainfo", "/home/ca.pem"


@pytest.mark.parametrize("before", [{}, OTHER, {"GIT_CONFIG_COUNT": ""}])
def test_git_reads_it_beside_what_is_there(before: dict[str, str], environment: dict[str, str]) -> None:
    """Bites: begin at 0 whatever is there, and the user's own setting is lost."""
    made = {**environment, **before, **with_setting(before, KEY, VALUE)}
    listed = subprocess.run(["git", "config", "--list"], env=made, capture_output=True, text=True, check=True).stdout
    assert f"{KEY}={VALUE}" in listed.splitlines()
    assert ("user.name=Ann" in listed.splitlines()) is (before is OTHER)
    assert with_setting(made, KEY, VALUE) == with_setting(before, KEY, VALUE)


@pytest.mark.parametrize("before", [{}, OTHER])
def test_it_is_taken_back(before: dict[str, str]) -> None:
    made = {**before, **with_setting(before, KEY, VALUE)}
    changed, gone = without_setting(made, VALUE)
    assert {name: value for name, value in {**made, **changed}.items() if name not in gone} == before


def test_what_another_put_there_stays() -> None:
    assert without_setting(OTHER, VALUE) == ({}, [])
    assert without_setting({}, "") == ({}, [])
