"""A Node source from its files to its recipe. What the lines do: tests/acceptance/test_builders_node.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from paasd.builders.node import plan
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import BOOKWORM, Stacks

NODES = Stacks((BOOKWORM,), {"24": "24.19.0", "22": "22.20.0"})


def recipe(
    root: Path, package: dict[str, Any], config: dict[str, str] | None = None, *, strict: bool = False
) -> Recipe:
    (root / "package.json").write_text(json.dumps(package))
    (root / "package-lock.json").write_text("{}")
    found = plan(Source(root, "a1", config or {}, stacks=NODES, strict=strict))
    assert found is not None
    return found


def runs(found: Recipe) -> list[str]:
    """The commands, in their order."""
    return [
        line.strip().removeprefix("RUN ") for line in (found.dockerfile_classic or "").splitlines() if "RUN" in line
    ]


FULL = {
    "scripts": {"heroku-prebuild": "a", "build": "b", "heroku-cleanup": "c", "start": "d"},
    "devDependencies": {"x": "1"},
}


def test_scripts_run_in_heroku_s_order_around_the_pruning(tmp_path: Path) -> None:
    assert runs(recipe(tmp_path, FULL)) == [
        "npm run heroku-prebuild && npm ci --no-audit --no-fund --include=dev",
        "npm run build",
        "npm prune --omit=dev --no-audit --no-fund",
        "npm run heroku-cleanup",
    ]
    postbuild = {**FULL, "scripts": {"heroku-postbuild": "p", "build": "b"}}
    assert runs(recipe(tmp_path, postbuild))[1] == "npm run heroku-postbuild"


def test_without_a_build_what_development_needs_is_never_installed(tmp_path: Path) -> None:
    assert runs(recipe(tmp_path, {"devDependencies": {"x": "1"}, "scripts": {"start": "x"}})) == [
        "npm ci --no-audit --no-fund --omit=dev"
    ]


@pytest.mark.parametrize("name", ["NPM_CONFIG_PRODUCTION", "YARN_PRODUCTION"])
def test_the_pruning_can_be_skipped_as_on_heroku(tmp_path: Path, name: str) -> None:
    assert not any("prune" in line for line in runs(recipe(tmp_path, FULL, {name: "false"})))


@pytest.mark.parametrize(
    ("package", "web"),
    [
        ({"scripts": {"start": "x"}}, "npm start"),
        ({"scripts": {"build": "x"}}, "python3 /opt/static/serve.py"),
    ],
)
def test_what_serves_without_a_procfile(tmp_path: Path, package: dict[str, Any], web: str) -> None:
    found = recipe(tmp_path, package)
    assert found.fallback == {"web": web}
    assert ("serve.py /opt/static/serve.py" in found.dockerfile) == web.startswith("python3")


def test_server_js_serves_and_without_any_it_is_said_what_to_add(tmp_path: Path) -> None:
    assert recipe(tmp_path, {}).fallback == {}
    assert '"start" script' in recipe(tmp_path, {}).advice
    (tmp_path / "server.js").write_text("")
    assert recipe(tmp_path, {}).fallback == {"web": "node server.js"}


@pytest.mark.parametrize(
    ("wanted", "major", "warned"),
    [
        ("24.x", "24", False),
        (">=20", "24", False),
        ("^22.1", "22", False),
        ("20.x", "22", True),
        ("4.2.x", "22", True),
        ("26", "24", True),
    ],
)
def test_the_node_that_satisfies_else_the_nearest(tmp_path: Path, wanted: str, major: str, warned: bool) -> None:
    found = recipe(tmp_path, {"engines": {"node": wanted}})
    assert f"COPY --from=paasd/node:{major} /node /opt/node\n" in found.dockerfile
    assert bool(found.warnings) == warned
    if warned:
        assert f"engines.node asks for Node {wanted}, and what is here is 22, 24: {major} is used." in found.warnings
        with pytest.raises(BuildFailed, match="ask for one of those"):
            recipe(tmp_path, {"engines": {"node": wanted}}, strict=True)


def test_the_log_shows_which_manager_is_installed(tmp_path: Path) -> None:
    """A step's line is cut at 160 characters. Bites: "RUN PATH=… npm install --...", of whom nobody sees."""
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "yarn.lock").write_text("__metadata:\n")
    found = plan(Source(tmp_path, "a1", stacks=NODES))
    assert found is not None
    (line,) = [one for one in found.dockerfile.splitlines() if "--prefix /opt/pm" in one]
    assert "@yarnpkg/cli-dist@4.18.1" in line[:120] and "--ignore-scripts" in line


def test_nvmrc_counts_where_engines_say_nothing(tmp_path: Path) -> None:
    (tmp_path / ".nvmrc").write_text("v22\n")
    assert "Using Node 22.20.0, by .nvmrc (v22)" in recipe(tmp_path, {}).reasons
    assert "Using Node 24.19.0, by engines.node (24.x)" in recipe(tmp_path, {"engines": {"node": "24.x"}}).reasons


def test_no_package_no_node(tmp_path: Path) -> None:
    assert plan(Source(tmp_path, "a1")) is None
