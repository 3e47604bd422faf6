"""A source with a Dockerfile of its own."""

from pathlib import Path

import pytest

from paasd.builders import dockerfile
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed


def plan(root: Path) -> Recipe | None:
    return dockerfile.plan(Source(root, "a1"))


def test_its_text_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM x\r\nCMD ["a"]\n', newline="")
    recipe = plan(tmp_path)
    assert recipe is not None
    assert recipe.dockerfile == 'FROM x\r\nCMD ["a"]\n'
    assert (recipe.stack, recipe.dockerfile_classic) == (None, None)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("FROM node:18-slim", "FROM node:20-slim"),
        (
            "from --platform=linux/amd64 docker.io/library/node:18-slim AS build",
            "from --platform=linux/amd64 node:20-slim AS build",
        ),
        ("COPY --chown=a --from=node:18-slim /a /b", "COPY --chown=a --from=node:20-slim /a /b"),
        ("FROM node:18-slim-bullseye", None),
        ("FROM other.example.org/node:18-slim", None),
        ("RUN echo FROM node:18-slim", None),
        ("FROM node:${V}", None),
    ],
)
def test_a_base_image_that_stands_for_another_is_taken_and_said(tmp_path: Path, line: str, after: str | None) -> None:
    """Bites: without the warning nobody knows that what runs is not what was tried."""
    (tmp_path / "Dockerfile").write_text(f"# x\n{line}\nRUN a\n")
    recipe = dockerfile.plan(Source(tmp_path, "a1", aliases={"node:18-slim": "node:20-slim"}))
    assert recipe is not None
    assert recipe.dockerfile == f"# x\n{after or line}\nRUN a\n"
    assert [one.partition(":")[0] for one in recipe.warnings] == (["NOT on node"] if after else [])


def test_none_is_no_error_and_an_empty_one_is(tmp_path: Path) -> None:
    assert plan(tmp_path) is None
    (tmp_path / "Dockerfile").write_text(" \n")
    with pytest.raises(BuildFailed, match="The Dockerfile is empty"):
        plan(tmp_path)


def test_heroku_yml_names_another(tmp_path: Path) -> None:
    (tmp_path / "heroku.yml").write_text("build: {docker: {web: deploy/Web.Dockerfile}}\nrelease: {command: [a, b]}\n")
    (tmp_path / "Dockerfile").write_text("FROM other\n")
    with pytest.raises(BuildFailed, match=r"builds by deploy/Web\.Dockerfile, which is not in the repository"):
        plan(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "Web.Dockerfile").write_text("FROM x\n")
    recipe = plan(tmp_path)
    assert recipe is not None
    assert (recipe.dockerfile, recipe.defaults, recipe.release) == ("FROM x\n", {"web": None}, "a && b")
    assert recipe.reasons == ("Building by deploy/Web.Dockerfile, as heroku.yml says (build.docker)",)


@pytest.mark.parametrize("path", ["/etc/passwd", "../Dockerfile", "a/../../b"])
def test_heroku_yml_can_not_lead_out_of_the_repository(tmp_path: Path, path: str) -> None:
    (tmp_path / "heroku.yml").write_text(f"build: {{docker: {{web: {path}}}}}\n")
    with pytest.raises(BuildFailed, match=r"holds no `\.\.`"):
        plan(tmp_path)


def test_heroku_yml_without_docker_leaves_the_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "heroku.yml").write_text("setup: {addons: []}\n")
    assert plan(tmp_path) is None
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    recipe = plan(tmp_path)
    assert recipe is not None
    assert recipe.reasons == ("Building by the Dockerfile in the repository",)


STAGES = """FROM base AS build
ARG NAME
ARG A=1 B="2 3" \\
    C
RUN make $NAME
from --platform=linux/amd64 base as Last
ARG OTHER
RUN x
"""


def test_heroku_yml_s_arguments_are_those_that_the_dockerfile_declares(tmp_path: Path) -> None:
    """Bites: a value that is taken apart, or whose `$` is taken for a variable (tests/acceptance/test_builders.py
    builds it); one that a Dockerfile does not declare, in the environment of all its steps."""
    (tmp_path / "D").write_text(STAGES)
    (tmp_path / "heroku.yml").write_text(
        'build:\n  docker: {web: D}\n  config: {NAME: "it\'s $HOME", C: 010, B: x, NONE: y}\n'
    )
    recipe = plan(tmp_path)
    assert recipe is not None
    assert recipe.dockerfile.splitlines()[1:7] == [
        "ARG NAME",
        """ARG NAME='it'"'"'s $HOME'""",
        'ARG A=1 B="2 3" \\',
        "    C",
        "ARG B='x'",
        "ARG C='010'",
    ]
    assert "NONE" not in recipe.dockerfile


def test_heroku_yml_s_target_is_the_image(tmp_path: Path) -> None:
    (tmp_path / "D").write_text(STAGES)
    yml = "build: {docker: {web: {dockerfile: D, target: %s}}}\n"
    (tmp_path / "heroku.yml").write_text(yml % "build")
    recipe = plan(tmp_path)
    assert recipe is not None and recipe.dockerfile == f"{STAGES}FROM build\n"
    (tmp_path / "heroku.yml").write_text(yml % "first")
    with pytest.raises(
        BuildFailed, match="the stage first of the Dockerfile, which has no such: there are build, Last"
    ):
        plan(tmp_path)
