"""Buildpacks that an app names. What classic ones do: tests/acceptance/test_builders.py, on an engine."""

import json
from pathlib import Path

import pytest

from paasd.builders.buildpacks import plan
from paasd.builders.detect import detect, with_learnt
from paasd.builders.recipe import Recipe, learn
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed


def recipe(root: Path, *buildpacks: str) -> Recipe | None:
    return plan(Source(root, "a1", buildpacks=buildpacks))


def test_none_are_named(tmp_path: Path) -> None:
    assert recipe(tmp_path) is None


def test_others_run_by_their_own_scripts_and_no_name_meets_a_shell(tmp_path: Path) -> None:
    """Bites: in a RUN line without brackets the name would be the shell's to read."""
    odd = "https://example.org/a'b$(id).git#v1"
    found = recipe(tmp_path, "./packs/own", odd)
    assert found is not None
    for text in (found.dockerfile, found.dockerfile_classic or ""):
        (line,) = [
            line
            for line in text.splitlines()
            if "opt/buildpacks/run" in line and line.startswith("RUN") and "[" in line
        ]
        assert json.loads(line[line.index("[") :]) == ["/opt/buildpacks/run", "./packs/own", odd]
    assert "--mount" not in (found.dockerfile_classic or "")


def test_known_ones_are_the_builders_here_also_several(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("flask\n")
    (tmp_path / "package.json").write_text('{"scripts": {"build": "x", "start": "y"}}')
    (tmp_path / "app.py").write_text("app = Flask(1)\n")
    found = recipe(tmp_path, "heroku/nodejs", "https://github.com/heroku/heroku-buildpack-python.git")
    assert found is not None
    assert "npm install" in found.dockerfile
    assert "uv pip install" in found.dockerfile
    assert found.dockerfile.index("id=paasd-wheels,") < found.dockerfile.index("COPY --chown"), "beside Node's scripts"
    assert "flask --app" in str(found.fallback["web"])  # the last one's
    found = recipe(tmp_path, "heroku/python", "heroku/nodejs")
    assert found is not None
    assert found.fallback == {"web": "npm start"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["heroku/ruby"], "heroku/ruby is not known here: name a git URL"),
        (["https://example.org/a.tgz"], r"a\.tgz is not known here"),
        (["heroku/python", "./own"], r"can't stand beside ./own: leave python out"),
        (["heroku/nodejs"], r"nodejs does not take this source: looked for Node \(package.json\)"),
    ],
)
def test_what_can_not_be_used_says_so(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        recipe(tmp_path, *names)


def test_a_dockerfile_comes_first_and_app_json_after_the_app_s_own(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text('{"buildpacks": [{"url": "./own"}]}')
    assert detect(Source(tmp_path, "a1")).builder == "buildpacks"
    with pytest.raises(BuildFailed, match="heroku/go"):
        detect(Source(tmp_path, "a1", buildpacks=("heroku/go",)))
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    found = detect(Source(tmp_path, "a1", buildpacks=("heroku/go",)))
    assert found.builder == "dockerfile"
    assert found.warnings == ("Not used, since a Dockerfile comes first: the buildpacks heroku/go",)


def test_process_types_that_a_build_tells_stand_beside_the_procfile_s(tmp_path: Path) -> None:
    printed = b"       noise\n       Default process type web: a: b\n       Default process type clock: tick  \n"
    assert learn(printed) == {"web": "a: b", "clock": "tick"}
    plan = detect(Source(tmp_path, "a1", buildpacks=("./own",)))
    assert with_learnt(plan, printed).processes.commands == {"web": "a: b", "clock": "tick"}
    with pytest.raises(BuildFailed, match="the buildpacks name none; add a Procfile"):
        with_learnt(plan, b"")
    (tmp_path / "Procfile").write_text("clock: mine\n")
    plan = detect(Source(tmp_path, "a1", buildpacks=("./own",)))
    assert with_learnt(plan, printed).processes.commands == {"clock": "mine", "web": "a: b"}
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    plan = detect(Source(tmp_path, "a1"))
    assert with_learnt(plan, printed) is plan
