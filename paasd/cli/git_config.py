"""git's settings by the environment (GIT_CONFIG_COUNT and its numbered pairs): for one shell, and in no file."""

from __future__ import annotations

from collections.abc import Mapping


def with_setting(environment: Mapping[str, str], key: str, value: str) -> dict[str, str]:
    """The variables that make it so, beside those that are there; said twice it is there once."""
    count = _count(environment)
    index = next((i for i in range(count) if environment.get(f"GIT_CONFIG_KEY_{i}") == key), count)
    return {
        "GIT_CONFIG_COUNT": str(max(count, index + 1)),
        f"GIT_CONFIG_KEY_{index}": key,
        f"GIT_CONFIG_VALUE_{index}": value,
    }


def without_setting(environment: Mapping[str, str], value: str) -> tuple[dict[str, str], list[str]]:
    """(variables to set, variables to remove) to take the last one back, if it has this value; else nothing."""
    last = _count(environment) - 1
    if last < 0 or environment.get(f"GIT_CONFIG_VALUE_{last}") != value:
        return {}, []
    pair = [f"GIT_CONFIG_KEY_{last}", f"GIT_CONFIG_VALUE_{last}"]
    return ({}, ["GIT_CONFIG_COUNT", *pair]) if last == 0 else ({"GIT_CONFIG_COUNT": str(last)}, pair)


def _count(environment: Mapping[str, str]) -> int:
    text = environment.get("GIT_CONFIG_COUNT", "")
    return int(text) if text.isdecimal() else 0
