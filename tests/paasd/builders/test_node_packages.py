"""package.json and its lock: which manager, which commands, what they read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paasd.builders.node_packages import Manager, find_manager, read_package
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed


def manager(root: Path, package: Mapping[str, Any], **files: str) -> Manager:
    (root / "package.json").write_text(json.dumps(package))
    for name, text in files.items():
        (root / name.replace("__", "-").replace("_", ".")).write_text(text)
    found = read_package(Source(root, "a1"))
    assert found is not None
    return find_manager(Source(root, "a1"), found)


@pytest.mark.parametrize(
    ("package", "files", "tool", "install"),
    [
        ({}, {"package__lock_json": "{}"}, None, "npm ci --no-audit --no-fund --include=dev"),
        ({}, {}, None, "npm install --no-audit --no-fund --include=dev"),
        (
            {},
            {"yarn_lock": "# v1\n"},
            "yarn@1.22.22",
            "yarn install --non-interactive --frozen-lockfile --production=false",
        ),
        (
            {},
            {"yarn_lock": "__metadata:\n"},
            "@yarnpkg/cli-dist@4.18.1",
            "YARN_CACHE_FOLDER=/app/.yarn/cache yarn install --immutable",
        ),
        (
            {"packageManager": "yarn@4.1.0+sha256.x"},
            {"yarn_lock": ""},
            "@yarnpkg/cli-dist@4.1.0",
            "YARN_CACHE_FOLDER=/app/.yarn/cache yarn install --immutable",
        ),
        ({"packageManager": "pnpm@9.1.0"}, {}, "pnpm@9.1.0", "pnpm install --prod=false"),
        (
            {},
            {"pnpm__lock_yaml": "lockfileVersion: '6.0'\n"},
            "pnpm@8.15.9",
            "pnpm install --frozen-lockfile --prod=false",
        ),
        ({"packageManager": "pnpm@1; id"}, {}, "pnpm@1", "pnpm install --prod=false"),
        ({"packageManager": "bun@1"}, {}, None, "npm install --no-audit --no-fund --include=dev"),
    ],
)
def test_the_lock_file_says_who_installs(
    tmp_path: Path, package: dict[str, Any], files: dict[str, str], tool: str | None, install: str
) -> None:
    found = manager(tmp_path, package, **files)
    assert (found.tool, found.install) == (tool, install)


def test_locks_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        BuildFailed, match=r"Lock files of npm and yarn are there \(package-lock.json, yarn.lock\); keep"
    ):
        manager(tmp_path, {}, package__lock_json="{}", yarn_lock="")


@pytest.mark.parametrize(
    ("package", "whole"),
    [
        ({}, False), ({"scripts": {"build": "x"}}, False), ({"scripts": {"postinstall": "node x.js"}}, True),
        ({"scripts": {"heroku-prebuild": "x"}}, True), ({"workspaces": ["a"]}, True),
        ({"dependencies": {"lib": "file:lib"}}, True),
    ],
)  # fmt: skip
def test_what_runs_in_the_installation_sees_all_of_the_source(
    tmp_path: Path, package: dict[str, Any], whole: bool
) -> None:
    found = manager(tmp_path, package, package__lock_json="{}")
    assert found.reads == (None if whole else ("package.json", "package-lock.json"))


@pytest.mark.parametrize(("text", "words"), [("{", "not valid JSON"), ("[]", "write an object")])
def test_a_package_that_can_not_be_read(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "package.json").write_text(text)
    with pytest.raises(BuildFailed, match=words):
        read_package(Source(tmp_path, "a1"))
    assert read_package(Source(tmp_path / "gone", "a1")) is None
